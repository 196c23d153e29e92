"""``--repeat``: the same run many times, with a progress bar, and what came of it."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report


@dataclass
class Repetition:
    """What came of it."""

    runs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        self.outcomes[report.outcome] += 1
        self.victims.update(report.victims)
        self.seconds.append(report.elapsed)
        self.notes.extend(note for note in report.notes if note not in self.notes)

    def to_text(self) -> str:
        """Return the summary."""
        low, middle, high = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        lines = [f"{self.outcomes['deadlock']} deadlocks in {self.runs} runs"]
        lines.extend(f"  {count} × {name}" for name, count in self.outcomes.most_common() if name != "deadlock")
        if self.victims:
            lines.append("victims: " + ", ".join(f"{name} {count}" for name, count in sorted(self.victims.items())))
        lines.append(f"seconds: min {low:.4f}, median {middle:.4f}, max {high:.4f}")
        lines.extend(f"Note: {note}" for note in self.notes)
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the summary as JSON."""
        summary = {
            "schema_version": 1,
            "runs": self.runs,
            "outcomes": dict(self.outcomes),
            "victims": dict(self.victims),
            "seconds": {
                "min": min(self.seconds),
                "median": statistics.median(self.seconds),
                "max": max(self.seconds),
            },
            "notes": self.notes,
        }
        return json.dumps(summary, indent=2)


def repeat(run: Callable[[], Report], times: int, *, stream: IO[str], quiet: bool) -> Repetition:
    """Run it that many times; the progress bar shows on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress

    repetition = Repetition()
    console = Console(file=stream, quiet=quiet)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("deadlocks", total=times)
        for _ in range(times):
            repetition.add(run())
            progress.update(task, advance=1, description=f"{repetition.outcomes['deadlock']} deadlocks")
    return repetition
