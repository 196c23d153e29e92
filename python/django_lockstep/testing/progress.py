"""How far a search has come, on a terminal: schedules done, found so far, and the rate."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from rich import progress as rich_progress

_PATIENCE = 0.5
"""Seconds; a search that is over sooner shows nothing."""


class Progress:
    """A context manager. Nothing is written where standard error is no terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._terminal = bool(getattr(sys.stderr, "isatty", bool)())
        self._bar: rich_progress.Progress | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, schedules: int, found: int) -> None:
        """Tell how many schedules are done, and how much was found."""
        elapsed = time.monotonic() - self._began
        if not self._terminal or elapsed < _PATIENCE:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.add_task("", total=None)  # nobody knows how many there are
            self._bar.start()
        told = f"{schedules:,} schedules, {found:,} found, {schedules / elapsed:.0f}/s"
        self._bar.update(self._bar.task_ids[0], description=told)


def _bar() -> rich_progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = BarColumn(), TextColumn("{task.description}")
    return Progress(*columns, console=Console(stderr=True), transient=True)
