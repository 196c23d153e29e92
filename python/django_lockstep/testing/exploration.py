"""What a search over schedules has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_lockstep import Report

STOPS = {
    "max_schedules": "max_schedules was reached",
    "max_seconds": "max_seconds was reached",
    "preemptions": "others have more preemptions",
    "seed": "they were chosen at random",
    "only": "one was asked for",
    "found": "the first one found was enough",
    "hang": "a callable came neither to a gate nor to its end, and what lies behind that was not seen",
    "gate": "statements over many rows were ordered by a gate, not searched",
}
"""Why a search is not complete, in words."""


@dataclass(frozen=True)
class Finding:
    """One fault, and the simplest schedule that shows it."""

    kind: str
    """``deadlock``, ``serialization_failure``, ``exception``, ``hidden_deadlock``, ``hang``, ``violation`` or
    ``lost_update``."""
    about: str
    """What happened, in a sentence."""
    schedule: str
    """Whose steps are released, in order: ``"A B A B"``, for ``run_together(order=…)`` or ``explore(only=…)``."""
    preemptions: int
    """How often the schedule takes the turn from a session that could go on."""
    report: Report
    """The run that showed it."""
    seen: int
    """How many schedules showed it."""

    @property
    def replay(self) -> str:
        """The lines to paste that make it happen again."""
        if '"' in self.schedule:  # with a row that is held in between
            return f"replay: explore(…, only='{self.schedule}')"
        return (
            f'replay: run_together(…, order="{self.schedule}")\n     or: explore(…, only="{self.schedule}")'
        )

    def __str__(self) -> str:
        times = "schedule" if self.seen == 1 else "schedules"
        return (
            f"{self.kind.replace('_', ' ')}: {self.about} ({self.seen} {times})\n"
            f"{self.replay}\n{self.report.to_text()}"
        )


@dataclass(frozen=True)
class Exploration:
    """The outcome of ``explore``."""

    findings: tuple[Finding, ...] = ()
    schedules: int = 0
    """How many schedules were run."""
    redundant: int = 0
    """How many of them turned out equivalent to an earlier one."""
    steps: int = 0
    """How many steps were released in all of them."""
    complete: bool = False
    """Whether every inequivalent schedule was run."""
    stopped: str | None = None
    """Why it is not complete: ``max_schedules``, ``max_seconds``, ``preemptions``, ``seed``, ``only``, ``found``,
    ``hang``."""
    contended: bool = False
    """Whether a session waited for another one in any of them."""
    elapsed: float = field(default=0.0, compare=False)
    """Seconds, starting states included."""

    @property
    def deadlocks(self) -> tuple[Finding, ...]:
        """The deadlocks."""
        return tuple(finding for finding in self.findings if finding.kind == "deadlock")

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The broken invariants, and the lost updates."""
        return tuple(finding for finding in self.findings if finding.kind in {"violation", "lost_update"})

    @property
    def extent(self) -> str:
        """What was run, in words: ``6 schedules, all that can differ``."""
        count = f"{self.schedules:,} schedule{'' if self.schedules == 1 else 's'}"
        why = "all that can differ" if self.complete else f"not all: {STOPS.get(self.stopped or '', '')}"
        return f"{count}, {why}"

    def __str__(self) -> str:
        found = "\n\n".join(map(str, self.findings)) or "Nothing was found."
        return f"{self.extent}; {self.elapsed:.2f} s.\n{found}"
