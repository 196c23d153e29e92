"""Running the user's own code in lock-step, for tests. Importing this imports Django."""

from django_lockstep.testing.assertions import assert_deadlocks, assert_no_deadlock
from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.exploration import Exploration, Finding
from django_lockstep.testing.explore import explore
from django_lockstep.testing.holding import AdvisoryLock, Lockable, TableLock
from django_lockstep.testing.mixin import LockstepMixin
from django_lockstep.testing.provoke import provoke_deadlock
from django_lockstep.testing.survive import assert_survives_deadlock
from django_lockstep.testing.together import run_together

__all__ = [
    "AdvisoryLock",
    "Ensemble",
    "Exploration",
    "Finding",
    "Lockable",
    "LockstepMixin",
    "TableLock",
    "assert_deadlocks",
    "assert_no_deadlock",
    "assert_survives_deadlock",
    "explore",
    "provoke_deadlock",
    "run_together",
]
