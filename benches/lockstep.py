"""``simulate_deadlock``: one call, with its probe, pool, scratch schema and clean-up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benches.samples import Run
from django_lockstep import Report, simulate_deadlock

if TYPE_CHECKING:
    from benches.place import Place

NAME = "simulate_deadlock"
CHOSEN = "simulate_deadlock, victim B"


def run(place: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock."""
    return _run(place, deadlock_timeout, None)


def run_chosen(place: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock whose victim is B."""
    return _run(place, deadlock_timeout, "B")


def _run(place: Place, deadlock_timeout: float, victim: str | None) -> Run:
    start = time.perf_counter()
    report = simulate_deadlock(place.dsn, deadlock_timeout=deadlock_timeout, victim=victim)
    total = time.perf_counter() - start
    return Run(total, _fatal_wait(report), report.deadlocked, next(iter(report.victims), None))


def _fatal_wait(report: Report) -> float | None:
    """Return the seconds from the victim's last request to its error."""
    for victim in report.victims:
        at = {event.kind: event.at for event in report.events if event.session == victim}
        return at["error"] - at["request"]
    return None
