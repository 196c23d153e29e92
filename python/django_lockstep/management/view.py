"""What a run looks like while it happens: its heading, a line an event, and at the end the verdict and why."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import OutputWrapper
    from django.core.management.color import Style

    from django_lockstep import Event, Report, Server

WIDTH = 100
"""Columns of running text: what the reports have, and as much as can be read with ease."""


class View:
    """Writes to a command's ``stdout``. Verbosity: 0 nothing, 1 the timeline, 2 statements, 3 the locks."""

    def __init__(self, stdout: OutputWrapper, style: Style, options: dict[str, Any]) -> None:
        self._stdout = stdout
        self._verbosity: int = options["verbosity"]
        self._style = style if stdout.isatty() or options["force_color"] else None
        self._deaf = False

    def start(self, server: Server) -> None:
        """Tell where it takes place."""
        if self._verbosity > 0:
            self.write(f"{server}\n")

    def event(self, event: Event) -> None:
        """Tell what has just happened."""
        line = event.to_text(self._verbosity)
        if line is not None:
            kinds = {"waiting": "WARNING", "error": "ERROR", "commit": "SUCCESS"}
            self.write(f"{self._paint(kinds.get(event.kind))(line)}\n")

    def conclude(self, report: Report) -> None:
        """Tell the verdict, and why."""
        if self._verbosity > 0:
            width = (
                min(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns) if self._stdout.isatty() else WIDTH
            )
            paint = self._paint("SUCCESS" if report.deadlocked else "WARNING")
            self.write(report.conclusion(width).replace(report.verdict, paint(report.verdict), 1))

    def summarize(self, summary: str) -> None:
        """Tell what came of many runs."""
        if self._verbosity > 0:
            self.write(f"\n{summary}")

    def write(self, text: str) -> None:
        """Write it at once, as far as the encoding can. A reader who has gone (``| head -1``) changes nothing else."""
        if self._deaf:
            return
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        try:
            self._stdout.write(text.encode(encoding, "replace").decode(encoding), ending="")
            self._stdout.flush()
        except BrokenPipeError:
            self._deaf = True
            # What is still in Python's own buffer must go somewhere at exit: Python manual, "Note on SIGPIPE".
            with suppress(OSError, AttributeError):  # no file at all
                if self._stdout.fileno() == sys.stdout.fileno():
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, sys.stdout.fileno())
                    os.close(nowhere)

    def _paint(self, kind: str | None) -> Callable[[str], str]:
        if self._style is None or kind is None:
            return str
        paint: Callable[[str], str] = getattr(self._style, kind)
        return paint
