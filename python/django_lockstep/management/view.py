"""What a run looks like while it happens: its heading, its timeline, and at the end the verdict and why."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_lockstep._core import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.core.management.base import OutputWrapper
    from django.core.management.color import Style

    from django_lockstep import Event, Report, Server

WIDTH = 100
"""Columns of running text: what the reports have, and as much as can be read with ease."""
PAINT = {
    "waiting": "WARNING",
    "error": "ERROR",
    "cancel": "ERROR",
    "commit": "SUCCESS",
    "begin": "HTTP_INFO",
    "request": "HTTP_NOT_MODIFIED",
}
"""The kinds of event that stand out, and the roles of Django's style that they have."""
PLAIN = str.maketrans(dict(zip("│┊┌├└┤┼─╌▶◀✗…", "|:+++++--><x.", strict=True)) | {"→": "->"})
"""What stands for the drawing where the encoding has no such characters."""


def face_of(report: Report, form: str, verbosity: int) -> str:
    """Return the report as ``--format`` wants it."""
    faces: dict[str, Callable[[], str]] = {
        "text": lambda: report.to_text(verbosity),
        "json": lambda: f"{report.to_json()}\n",
        "mermaid": report.to_mermaid,
        "html": report.to_html,
    }
    return faces[form]()


class View:
    """Writes to a command's ``stdout``. Verbosity: 0 nothing, 1 the timeline, 2 statements, 3 the locks."""

    def __init__(self, stdout: OutputWrapper, style: Style, options: dict[str, Any]) -> None:
        self._stdout = stdout
        self._verbosity: int = options["verbosity"]
        plain = options["no_color"] or (os.environ.get("NO_COLOR") and not options["force_color"])
        self._style = style if (stdout.isatty() or options["force_color"]) and not plain else None
        self._deaf = False
        self._timeline = Timeline(max(0, options["sessions"]), self._verbosity, self._columns(None))
        self._heading = self._timeline.heading()  # is written before the first line below it

    def start(self, server: Server) -> None:
        """Tell where it takes place."""
        if self._verbosity > 0:
            self.write(f"{server}\n")

    def event(self, event: Event) -> None:
        """Tell what has just happened."""
        paint = self._paint(PAINT.get(event.kind))
        for before, told, after in self._timeline.lines(event):
            self.write(self._heading)
            self._heading = ""
            self.write(f"{before}{paint(told)}{after}".rstrip() + "\n")

    def note(self, sentence: str) -> None:
        """Tell what belongs to no event."""
        if self._verbosity > 0:
            told = textwrap.fill(sentence, self.columns, break_on_hyphens=False)
            self.write("\n" + "\n".join(map(self._paint("WARNING"), told.split("\n"))) + "\n")

    def part(self, heading: str, sessions: Sequence[str]) -> None:
        """Tell that a part of the run begins, of these sessions."""
        self._timeline = Timeline(sessions, self._verbosity, self._columns(None))
        self._heading = self._timeline.heading()
        if self._verbosity > 0:
            self.write(f"\n{heading}\n")

    def conclude(self, report: Report, verdict: str | None = None, *, well: bool | None = None) -> None:
        """Tell the verdict, or this one, and why. ``well``: whether it is as it should be; if unsaid, a deadlock is."""
        if self._verbosity > 0:
            paint = self._paint("SUCCESS" if (report.deadlocked if well is None else well) else "WARNING")
            conclusion = report.conclusion(self.columns, verdict).lstrip("\n")
            verdict, blank, rest = conclusion.partition("\n\n")
            told = "\n".join(paint(line) for line in verdict.split("\n"))
            self.write(f"\n{told}{blank}{rest}")

    def tell(self, report: Report) -> None:
        """Tell what happened, at once."""
        self.start(report.server)
        for event in report.events:
            self.event(event)
        self.conclude(report)

    def summarize(self, summary: str) -> None:
        """Tell what came of many runs."""
        if self._verbosity > 0:
            self.write(f"\n{summary}")

    def say_written(self, file: str) -> None:
        """Tell where the result is."""
        if self._verbosity > 0:
            self.write(f"\n{self._paint('SUCCESS')(f'Written: {file}')}\n")

    def write(self, text: str) -> None:
        """Write it at once, as far as the encoding can. A reader who has gone (``| head -1``) changes nothing else."""
        if self._deaf:
            return
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
        try:
            self._stdout.write(text, ending="")
            self._stdout.flush()
        except BrokenPipeError:
            self._turn_away()
        except OSError as error:
            self._turn_away()
            message = (
                f"Cannot write to standard output: {error.strerror}. Give another place, or --output FILE."
            )
            raise CommandError(message) from error

    def _turn_away(self) -> None:
        """Write nothing any more; nor what is still in Python's own buffer (Python manual, "Note on SIGPIPE")."""
        self._deaf = True
        with suppress(OSError, AttributeError):  # no file at all
            if self._stdout.fileno() == sys.stdout.fileno():
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)

    @property
    def columns(self) -> int:
        """How wide running text is to be."""
        return self._columns(WIDTH)

    @property
    def terminal_columns(self) -> int | None:
        """How wide the terminal is, if it is one."""
        return self._columns(None) if self._stdout.isatty() else None

    def _columns(self, most: int | None) -> int:
        """Return how wide the terminal is; where there is none, what a report has."""
        if not self._stdout.isatty():
            return WIDTH
        columns = shutil.get_terminal_size((WIDTH, 0)).columns
        return columns if most is None else min(most, columns)

    def _paint(self, kind: str | None) -> Callable[[str], str]:
        if self._style is None or kind is None:
            return str
        paint: Callable[[str], str] = getattr(self._style, kind)
        return paint
