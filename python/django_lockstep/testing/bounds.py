"""Which schedules of a search are run, and how many."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django_lockstep.exceptions import UsageError

DEPTH = 3
"""How many ordered steps a fault needs that random schedules look for, if nothing is said."""
_MOST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Bounds:
    """Which schedules are run, and how many. Raises ``UsageError`` where that makes no sense."""

    preemptions: int | None = None
    seed: int | None = None
    depth: int | None = None
    reduced: bool = True
    max_schedules: float = math.inf
    max_seconds: float = math.inf

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.depth is not None and self.seed is None:
            raise UsageError(
                f"depth={self.depth} is for random schedules, and all are asked for. Give a seed, or leave depth out."
            )
        if self.seed is not None and self.preemptions is not None:
            raise UsageError("Random schedules know no preemptions=…. Give seed or preemptions, not both.")
        if not self.reduced and (self.seed is not None or self.preemptions is not None):
            raise UsageError("reduced=False runs every schedule. Leave out seed and preemptions.")
        if self.seed is not None and math.isinf(self.max_schedules) and math.isinf(self.max_seconds):
            raise UsageError("Random schedules never end. Give max_schedules or max_seconds.")

    def _check_numbers(self) -> None:
        for name, least in (("preemptions", 0), ("seed", 0), ("depth", 1)):
            given = getattr(self, name)
            if given is not None and (not _is_whole(given) or not least <= given <= _MOST_SEED):
                raise UsageError(f"{name} cannot be {given!r}. Give a whole number, {least} or more.")
        for name in ("max_schedules", "max_seconds"):
            given = getattr(self, name)
            number = isinstance(given, int | float) and not isinstance(given, bool)
            if not number or math.isnan(given) or given < 0:
                raise UsageError(f"{name} cannot be {given!r}. Give a number, zero or more.")
        if not math.isinf(self.max_schedules) and not _is_whole(self.max_schedules):
            raise UsageError(
                f"max_schedules cannot be {self.max_schedules!r}. Give a whole number, or math.inf for no limit."
            )


def _is_whole(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)
