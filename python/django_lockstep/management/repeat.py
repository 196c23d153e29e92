"""``--repeat``: the same run many times, with a progress bar, and what came of it."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import OutputWrapper
    from rich.progress import Progress

    from django_lockstep import Report


@dataclass
class Repetition:
    """What came of it."""

    wanted: int
    expected: str
    outcomes: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    odd: Report | None = None
    """The first run that did not end as expected."""
    broken_off: BaseException | None = None
    """What ended it before all runs were done: Ctrl-C, a server that went away."""

    @property
    def runs(self) -> int:
        """How many runs were done."""
        return len(self.seconds)

    def add(self, report: Report) -> None:
        """Count one run."""
        self.outcomes[report.outcome] += 1
        self.victims.update(report.victims)
        self.seconds.append(report.elapsed)
        self.notes.extend(note for note in report.notes if note not in self.notes)
        if self.odd is None and report.outcome != self.expected:
            self.odd = report

    def to_text(self) -> str:
        """Return the summary."""
        runs = f"{self.runs}" if self.runs == self.wanted else f"{self.runs} of {self.wanted}"
        lines = [f"{_number(self.outcomes['deadlock'], 'deadlock')} in {_number(self.wanted, 'run', runs)}"]
        lines.extend(
            f"  {count} × {name}" for name, count in self.outcomes.most_common() if name != "deadlock"
        )
        if self.victims:
            lines.append(
                "victims: " + ", ".join(f"{name} {count}" for name, count in sorted(self.victims.items()))
            )
        if times := self._times():
            lines.append("seconds: " + ", ".join(f"{name} {value:.4f}" for name, value in times.items()))
        lines.extend(f"Note: {note}" for note in self.notes)
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return the summary as JSON."""
        summary = {
            "schema_version": 1,
            "wanted": self.wanted,
            "runs": self.runs,
            "outcomes": dict(self.outcomes),
            "victims": dict(self.victims),
            "seconds": self._times(),
            "notes": self.notes,
        }
        return json.dumps(summary, indent=2)

    def _times(self) -> dict[str, float]:
        if not self.seconds:
            return {}
        import statistics  # takes a while to import

        times = self.seconds
        return {"min": min(times), "median": statistics.median(times), "max": max(times)}


def repeat(
    run: Callable[[Callable[[Report], object]], None],
    repetition: Repetition,
    stderr: OutputWrapper,
    options: dict[str, Any],
) -> None:
    """Have ``run`` hand over all reports; the progress bar shows on a terminal only. What breaks it off is kept."""
    try:
        if options["verbosity"] == 0 or not stderr.isatty():
            run(repetition.add)
        else:
            with _progress(stderr, options) as progress:
                task = progress.add_task("deadlocks", total=repetition.wanted)

                def on_report(report: Report) -> None:
                    repetition.add(report)
                    deadlocks = _number(repetition.outcomes["deadlock"], "deadlock")
                    progress.update(task, completed=repetition.runs, description=deadlocks)

                run(on_report)
    except BaseException as error:  # noqa: BLE001 -- raised by the command once it has told what was done
        repetition.broken_off = error


def _progress(stderr: OutputWrapper, options: dict[str, Any]) -> Progress:
    # rich takes longer to import than all the rest of the command.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=cast("IO[str]", _Plain(stderr)), no_color=options["no_color"] or None)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


class _Plain(io.TextIOBase):
    """A command's ``stderr`` as a file: no newline of its own, no red."""

    def __init__(self, stderr: OutputWrapper) -> None:
        self._stderr = stderr

    def write(self, text: str) -> int:
        self._stderr.write(text, style_func=str, ending="")
        return len(text)

    def flush(self) -> None:
        self._stderr.flush()

    def isatty(self) -> bool:
        return self._stderr.isatty()


def _number(count: int, noun: str, written: str | None = None) -> str:
    return f"{written or count} {noun}{'' if count == 1 else 's'}"
