"""The pytest plugin: the fixture ``lockstep`` and an option. Django is imported when a test asks for it, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_lockstep.limits import DEFAULTS, MAX_SCHEDULES

if TYPE_CHECKING:
    from django_lockstep.testing.fixture import Lockstep


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lockstep-max-schedules``."""
    group = parser.getgroup("lockstep", "deadlocks and schedules (django-lockstep)")
    group.addoption(
        "--lockstep-max-schedules",
        type=_count,
        default=MAX_SCHEDULES,
        metavar="N",
        help="let a search that gives no max_schedules stop after N schedules; an assertion that is stopped fails "
        f"(default: {MAX_SCHEDULES:,})",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let searches know the option."""
    DEFAULTS.max_schedules = config.getoption("--lockstep-max-schedules")


def pytest_unconfigure() -> None:
    """Let searches forget it."""
    DEFAULTS.max_schedules = MAX_SCHEDULES


@pytest.fixture
def lockstep() -> Lockstep:
    """Functions that run code in lock-step: ``lockstep.run_together``, ``lockstep.explore``, ….

    The test needs ``@pytest.mark.django_db(transaction=True)``: what other connections shall see must be committed.
    """
    from django_lockstep.testing.fixture import Lockstep

    return Lockstep()


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(f"{count} schedules decide nothing")
    return count
