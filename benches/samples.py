"""What was measured. Times are in seconds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One attempt at a deadlock."""

    total: float
    """The whole attempt, as its user waits for it."""
    wait: float | None = None
    """From the victim's request to its 40P01."""
    deadlocked: bool = True
    victim: str | None = None


@dataclass
class Samples:
    """All runs of one peer at one ``deadlock_timeout``."""

    peer: str
    deadlock_timeout: float
    runs: list[Run] = field(default_factory=list)
    failure: str | None = None
    """Why there are no runs, or no more."""

    def totals(self) -> list[float]:
        """Return the whole attempts' times."""
        return [run.total for run in self.runs]

    def waits(self) -> list[float]:
        """Return the victims' waits above ``deadlock_timeout``."""
        return [run.wait - self.deadlock_timeout for run in self.runs if run.wait is not None]

    def share(self) -> float | None:
        """Return the share of runs that deadlocked."""
        return sum(run.deadlocked for run in self.runs) / len(self.runs) if self.runs else None

    def victims(self) -> dict[str, int]:
        """Return how often each session was the victim, where the peer says so."""
        named = [run.victim for run in self.runs if run.victim]
        return {name: named.count(name) for name in sorted(set(named))}

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "peer": self.peer,
            "deadlock_timeout": self.deadlock_timeout,
            "runs": len(self.runs),
            "total": spread(self.totals()),
            "wait_above_deadlock_timeout": spread(self.waits()),
            "share_deadlocked": self.share(),
            "victims": self.victims(),
            "failure": self.failure,
        }


def spread(values: list[float]) -> dict[str, float] | None:
    """Return minimum, median and 99th percentile (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    rank = math.ceil(0.99 * len(ordered)) - 1
    return {"min": ordered[0], "median": statistics.median(ordered), "p99": ordered[rank]}
