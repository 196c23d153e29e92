"""What a search over schedules has found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django_lockstep._core import ExplorationFaces

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


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<Finding {self.kind}: {self.about}; only={self.schedule!r}>"

    def __str__(self) -> str:
        return self.told()

    def told(self, argument: str = "only") -> str:
        """Return it as plain text; ``argument`` is what replays it in the call that found it: ``only`` or ``order``."""
        return Exploration((self,)).faces.finding_to_text(0, argument=argument)


@dataclass(frozen=True, repr=False)
class Exploration:
    """The outcome of ``explore``."""

    findings: tuple[Finding, ...] = ()
    schedules: int = 0
    """How many schedules were run."""
    redundant: int = 0
    """How many of them turned out equivalent to an earlier one."""
    steps: int = 0
    """How many steps were released in all of them."""
    again: int = 0
    """How many runs were begun again besides, because the server had let in a session out of turn."""
    complete: bool = False
    """Whether every inequivalent schedule was run."""
    stopped: str | None = None
    """Why it is not complete: ``max_schedules``, ``max_seconds``, ``preemptions``, ``seed``, ``only``, ``found``,
    ``hang``."""
    contended: bool = False
    """Whether a session waited for another one in any of them."""
    autocommit: bool = False
    """Whether no callable ever began a transaction: each of its statements ran by itself."""
    only_deadlocks: bool = False
    """Whether only deadlocks were looked for, and what keeps a callable from its end, as the assertions do."""
    notes: tuple[str, ...] = ()
    """What to know besides, a sentence or two each."""
    elapsed: float = field(default=0.0, compare=False)
    """Seconds, starting states included."""

    sessions: tuple[str, ...] = ()
    """The sessions' names, in the order of the callables."""

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

    @property
    def verdict(self) -> str:
        """What came of it, in one line."""
        return self.faces.verdict

    def to_text(self, verbosity: int = 1, width: int = 100) -> str:
        """Return it as plain text: at verbosity 0 the summary alone, at 1 to 3 each finding's timeline as well."""
        return self.faces.to_text(verbosity, width)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers, with a ``schema_version``.

        The package's ``schema/exploration-1.json`` describes it.
        """
        told: dict[str, Any] = json.loads(self.to_json())
        return told

    def to_json(self) -> str:
        """Return the same as a JSON text."""
        return self.faces.to_json()

    def to_markdown(self) -> str:
        """Return it as Markdown for a pull request: a table, and a Mermaid diagram of each finding, to be unfolded."""
        return self.faces.to_markdown()

    def to_mermaid(self) -> str:
        """Return it as one Mermaid sequence diagram, the findings one after the other."""
        return self.faces.to_mermaid()

    def to_html(self) -> str:
        """Return it as one HTML document that loads nothing and runs no script: each finding can be unfolded."""
        return self.faces.to_html()

    @property
    def faces(self) -> ExplorationFaces:
        """What tells it."""
        told = [
            (one.kind, one.about, one.schedule, one.preemptions, one.seen, one.report)
            for one in self.findings
        ]
        names = self.sessions or tuple(
            session.name for finding in self.findings[:1] for session in finding.report.sessions
        )
        return ExplorationFaces(
            list(names),
            told,
            schedules=self.schedules,
            redundant=self.redundant,
            steps=self.steps,
            again=self.again,
            complete=self.complete,
            extent=self.extent,
            contended=self.contended,
            only_deadlocks=self.only_deadlocks,
            notes=list(self.notes),
            elapsed=self.elapsed,
        )

    def __repr__(self) -> str:
        schedules = "".join(f"; {one.kind}: only={one.schedule!r}" for one in self.findings)
        return f"<Exploration {self.verdict}{schedules}>"

    def __str__(self) -> str:
        return self.to_text()
