"""What the pytest fixture ``lockstep`` is."""

from __future__ import annotations

from django_lockstep.testing.assertions import assert_deadlocks, assert_no_deadlock
from django_lockstep.testing.explore import explore
from django_lockstep.testing.provoke import provoke_deadlock
from django_lockstep.testing.survive import assert_survives_deadlock
from django_lockstep.testing.together import run_together


class Lockstep:
    """The functions of ``django_lockstep.testing``."""

    run_together = staticmethod(run_together)
    provoke_deadlock = provoke_deadlock
    explore = staticmethod(explore)
    assert_deadlocks = staticmethod(assert_deadlocks)
    assert_no_deadlock = staticmethod(assert_no_deadlock)
    assert_survives_deadlock = staticmethod(assert_survives_deadlock)
