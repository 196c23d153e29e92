"""The catalogue: deadlocks that Django projects have met, as named scenarios with their fixes."""

from __future__ import annotations

from django_lockstep._core import parse_scenario
from django_lockstep.exceptions import UsageError

TYPE_CHECKING = False  # typing takes longer to import than all the rest of the package
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django_lockstep._core import Event, Report, Scenario, Server, SpecReport, _Isolation, _WhatIf


def scenarios() -> tuple[Scenario, ...]:
    """Return every scenario of the catalogue, by name."""
    return tuple(map(_read, _files()))


def scenario(name: str) -> Scenario:
    """Return the scenario of this name. Raises ``UsageError``, with the names that are like it, if there is none."""
    files = {file.stem: file for file in _files()}
    if name not in files:
        from difflib import get_close_matches  # takes longer to import than all the rest of the package

        alike = [one for one in files if one.startswith(f"{name}-")] or get_close_matches(name, files)
        hint = f"Did you mean {' or '.join(alike)}?" if alike else "deadlock_test --list lists all of them."
        message = f"There is no scenario {name!r}. {hint}"
        raise UsageError(message, hint=hint)
    return _read(files[name])


def run_scenario(
    name: str,
    dsn: str,
    *,
    isolation: _Isolation = "read committed",
    what_if: _WhatIf | None = None,
    permutations: tuple[int, ...] | None = None,
    deadlock_timeout: float | None = None,
    timeout: float = 60.0,
    on_start: Callable[[Server], object] | None = None,
    on_permutation: Callable[[str, int], object] | None = None,
    on_event: Callable[[Event], object] | None = None,
    on_report: Callable[[Report, str], object] | None = None,
    on_note: Callable[[str], object] | None = None,
) -> SpecReport:
    """Run a scenario of the catalogue in a scratch schema of its own, and return what came of each permutation.

    It never touches a table that it has not made. What ``scenario(name).expected(isolation)`` says is what to
    expect in ``SpecReport.effects``.

    Args:
        name: One of the names of ``scenarios()``.
        dsn: Where: a libpq keyword/value string or a ``postgresql://`` URI. The role needs CREATE on the database.
        isolation: The isolation level of the sessions.
        what_if: A change to how locks are asked for.
        permutations: Only these, counted from 1.
        deadlock_timeout: In seconds, for a role that may set it; left out, 0.25. Another role has the server's.
        timeout: In seconds, for the whole call.
        on_start: As for ``simulate_deadlock``.
        on_permutation: Called with a permutation's steps and its number when it begins; again, when it is run again
            because a busy machine aborted another session than it was to.
        on_event: As for ``simulate_deadlock``.
        on_report: Called with a permutation's ``Report`` and its verdict, in one line, when it is through.
        on_note: Called with a sentence that says what is waited for, and for how long, when that takes long.

    Raises:
        UsageError: There is no such scenario, or no such permutation; or no step has a locking clause to change.
        Refused: The role may not make a schema, the server is read-only, or a pooler is in between.
        ConnectionFailed: No connection could be made.
        ConnectionLost: The server went away.
        CallTimeout: ``timeout`` ran out before the first permutation. (Later, ``SpecReport.failure`` says so.)
    """
    return scenario(name).spec.run(
        dsn,
        isolation=isolation,
        scratch=True,
        what_if=what_if,
        permutations=permutations,
        deadlock_timeout=deadlock_timeout,
        timeout=timeout,
        on_start=on_start,
        on_permutation=on_permutation,
        on_event=on_event,
        on_report=on_report,
        on_note=on_note,
    )


def _files() -> list[Path]:
    from pathlib import Path  # what only a few calls need, an import of the package does without

    return sorted(Path(__file__).with_name("scenarios").glob("*.spec"))


def _read(file: Path) -> Scenario:
    return parse_scenario(file.read_text(encoding="utf-8"), file.name)
