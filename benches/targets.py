"""What is to be reached, and whether it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benches import by_hand, floor, isolationtester, lockstep
from benches.samples import spread

if TYPE_CHECKING:
    from benches.samples import Samples

LENIENCE = 1.25
"""A ratio that is missed by more than this is a failure of the bench; machines differ, and others use them too."""
AT = 0.01
"""The ``deadlock_timeout`` that the ratios are taken at."""


@dataclass(frozen=True)
class Target:
    """One figure to reach; ``is_ratio`` tells whether missing it is a failure."""

    what: str
    measured: float
    limit: float
    at_least: bool = False
    is_ratio: bool = True
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Whether it is what was promised."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def failed(self) -> bool:
        """Whether it is a ratio that is missed by far."""
        limit = self.limit / LENIENCE if self.at_least else self.limit * LENIENCE
        return self.is_ratio and not (self.measured >= limit if self.at_least else self.measured <= limit)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "reached": self.reached, "failed": self.failed}


def judge(results: dict[str, Any], samples: list[Samples]) -> list[Target]:
    """Return every target that something was measured for."""
    medians: dict[str, float] = {}
    waits: dict[str, float] = {}
    for one in samples:
        if one.deadlock_timeout == AT:
            if total := spread(one.totals()):
                medians[one.peer] = total["median"]
            if wait := spread(one.waits()):
                waits[one.peer] = wait["median"]
    targets = []
    ours = medians.get(lockstep.NAME)
    for peer, limit in ((by_hand.NAME, 1.15), (isolationtester.NAME, 0.6)):
        if ours and medians.get(peer):
            targets.append(Target(f"one call, to {peer}, at 10 ms", ours / medians[peer], limit))
    if lockstep.CHOSEN in waits and floor.NAME in waits:
        above = (waits[lockstep.CHOSEN] - waits[floor.NAME]) * 1000
        targets.append(
            Target("wait until 40P01, above the floor, at 10 ms", above, 0.3, is_ratio=False, unit="ms")
        )
    for row in results["rates"]:
        if row["ratio"] is not None:
            # More pairs than that want more than two cores have: then CPU time is measured, not waiting.
            waits_mostly = row["deadlock_timeout"] >= AT and row["pairs"] <= 4
            told = f"--repeat, to pgbench, {row['deadlock_timeout'] * 1000:g} ms, {_pairs(row['pairs'])}"
            targets.append(Target(told, row["ratio"], 0.8, at_least=True, is_ratio=waits_mostly))
    sizes = {row["sessions"]: row["run_above"] for row in results["ring"]}
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        growth = sizes[large] / sizes[small] / (large / small)
        targets.append(Target(f"cost of a ring of {large}, to {large // small} of {small}", growth, 1.0))
    for row in results["endurance"]:
        told = f"{row['runs']} repeats, {'both cores busy' if row['busy'] else 'nothing else'}"
        targets.append(
            Target(f"{told}: deadlocks", row["share_deadlocked"], 1.0, at_least=True, is_ratio=False)
        )
        targets.append(
            Target(
                f"{told}: chosen victim", row["share_with_chosen_victim"], 1.0, at_least=True, is_ratio=False
            )
        )
        grown = row["megabytes_at_the_end"] - row["megabytes_after_a_tenth"]
        targets.append(Target(f"{told}: growth after the first tenth", grown, 2.0, is_ratio=False, unit="MB"))
    start = results["startup"]
    targets.append(
        Target(
            "import, above bare Python", start["import_above_python"] * 1000, 15, is_ratio=False, unit="ms"
        )
    )
    targets.append(
        Target(
            "manage.py deadlock_test --version, to check --version", start["deadlock_test_to_manage"], 1.05
        )
    )
    if results["conformance"]:
        specs = results["conformance"]
        targets.append(
            Target(f"{specs['specs']} specs of PostgreSQL's, to isolationtester", specs["ratio"], 0.7)
        )
    return targets


def _pairs(count: int) -> str:
    return f"{count} pair{'' if count == 1 else 's'}"
