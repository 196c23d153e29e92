"""A ring of more and more sessions: what it costs above ``deadlock_timeout``."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from benches.place import Place

DEADLOCK_TIMEOUT = 0.1


def measure(place: Place, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Return the medians of the whole call and of the run in it, above ``deadlock_timeout``."""
    spent: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            start = time.perf_counter()
            report = simulate_deadlock(
                place.dsn, sessions=size, deadlock_timeout=DEADLOCK_TIMEOUT, victim="A", timeout=120
            )
            total = time.perf_counter() - start
            if report.victims != ("A",) or len(report.cycle) != size:
                raise SystemExit(f"A ring of {size} ended otherwise: {report.explanation}")
            spent[size].append((total - DEADLOCK_TIMEOUT, report.elapsed - DEADLOCK_TIMEOUT))
    return [
        {
            "sessions": size,
            "call_above": statistics.median(call for call, _ in times),
            "run_above": statistics.median(run for _, run in times),
        }
        for size, times in spent.items()
    ]
