"""What a search over schedules has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_lockstep import Report


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

    def __str__(self) -> str:
        times = "schedule" if self.seen == 1 else "schedules"
        return (
            f"{self.kind.replace('_', ' ')}: {self.about} ({self.seen} {times})\n"
            f'replay: run_together(…, order="{self.schedule}")\n{self.report.to_text()}'
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

    def __str__(self) -> str:
        found = "\n\n".join(map(str, self.findings)) or "Nothing was found."
        extent = "all inequivalent schedules" if self.complete else "not all schedules"
        return f"{self.schedules} schedules in {self.elapsed:.2f} s, {extent}.\n{found}"
