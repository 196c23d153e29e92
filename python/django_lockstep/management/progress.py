"""The matrix with a progress bar."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, cast

from django_lockstep._core import run_matrix
from django_lockstep.management.repeat import _Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import OutputWrapper

    from django_lockstep import Matrix, Scenario, Server

RUNS = 15
"""How many there are for each scenario: three isolation levels, as it is and with four what-ifs."""


def cells(
    scenarios: list[Scenario],
    dsn: str,
    stderr: OutputWrapper,
    options: dict[str, Any],
    *,
    deadlock_timeout: float | None,
    timeout: float,
    on_start: Callable[[Server], object],
) -> Matrix:
    """Make the matrix; the progress bar shows on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=cast("IO[str]", _Plain(stderr)), no_color=options["no_color"] or None)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
    quiet = options["verbosity"] == 0 or not console.is_terminal
    with Progress(*columns, console=console, disable=quiet, transient=True) as progress:
        task = progress.add_task("", total=len(scenarios) * RUNS)
        return run_matrix(
            scenarios,
            dsn,
            deadlock_timeout=deadlock_timeout,
            timeout=timeout,
            on_start=on_start,
            on_cell=lambda title, number: progress.update(task, completed=number - 1, description=title),
        )
