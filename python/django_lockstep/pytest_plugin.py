"""The pytest plugin: the fixture ``lockstep``. Django is imported when a test asks for it, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_lockstep.testing.fixture import Lockstep


@pytest.fixture
def lockstep() -> Lockstep:
    """Functions that run code in lock-step: ``lockstep.run_together``, ``lockstep.assert_deadlocks``, ….

    The test needs ``@pytest.mark.django_db(transaction=True)``: what other connections shall see must be committed.
    """
    from django_lockstep.testing.fixture import Lockstep

    return Lockstep()
