"""``--from-log``: the deadlocks that a PostgreSQL server has written to its log, in the faces of a report."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from django.core.management.base import CommandError

from django_lockstep._core import html_of_many, read_log
from django_lockstep.catalogue import scenarios
from django_lockstep.exceptions import UsageError
from django_lockstep.management.specs import of_a_run, refuse_beside
from django_lockstep.management.view import face_of

if TYPE_CHECKING:
    from django_lockstep import Report

NONE = 3
PACKED = {b"\x1f\x8b": "zcat", b"BZh": "bzcat", b"\xfd7zXZ": "xzcat", b"\x28\xb5\x2f\xfd": "zstdcat"}
"""How compressed files begin, and what unpacks them."""


def check_log_options(options: dict[str, Any]) -> None:
    """Refuse what does not go with a log."""
    others = ("expect", "isolation", "deadlock_timeout", "timeout")
    given = [name.replace("_", "-") for name in others if options[name] is not None]
    jobs = ["jobs"] if options["jobs"] != 1 else []
    refuse_beside("--from-log reads what has happened, and", [*given, *of_a_run(options), *jobs])


def reports_of(source: str) -> tuple[list[Report], str]:
    """Read the log; return the deadlocks in it and, in words, where they are from."""
    where = "standard input" if source == "-" else source
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as log:
            _refuse_compressed(log, where)
            form, entries, told = read_log(log, list(scenarios()))
    except OSError as error:
        message = (
            f"Cannot read {source}: {error.strerror}. Name a PostgreSQL server log, or - for standard input."
        )
        raise CommandError(message) from error
    if not told:
        wanted = "Give a PostgreSQL server log in the format stderr, csvlog or jsonlog, from the time of the deadlock."
        if not entries:
            message = f"{where} has no entry of a PostgreSQL server log. {wanted}"
            raise CommandError(message, returncode=NONE)
        message = (
            f"There is no deadlock in {where} ({form}, {entries} entries). {wanted} A deadlock is known by its DETAIL, "
            "which is missing where the log is cut off, or log_error_verbosity is terse."
        )
        raise CommandError(message, returncode=NONE)
    return [report for report, _ in told], f"{where} ({form})"


def _refuse_compressed(log: BinaryIO, where: str) -> None:
    peek = getattr(log, "peek", None)  # a stand-in for standard input may have none
    beginning = peek(max(map(len, PACKED))) if peek else b""
    for magic, program in PACKED.items():
        if beginning.startswith(magic):
            name = "FILE" if log is sys.stdin.buffer else where
            how = f"{program} {name} | manage.py deadlock_test --from-log -"
            message = f"{where} is compressed. Unpack it on the way: {how}"
            raise CommandError(message)


def faces_of(reports: list[Report], where: str, form: str, verbosity: int) -> str:
    """Return all of them as ``--format`` wants it."""
    if len(reports) == 1:
        return face_of(reports[0], form, verbosity)
    if form == "json":
        return "[" + ",\n".join(report.to_json() for report in reports) + "]\n"
    if form == "html":
        title = f"{len(reports)} deadlocks in {where}"
        chapters = [(f"{number}. {report.verdict}", report) for number, report in enumerate(reports, 1)]
        return html_of_many(title, chapters)
    if form == "mermaid":
        hint = f"Choose one with --deadlock N, from 1 to {len(reports)}."
        message = f"A Mermaid diagram is of one deadlock, and there are {len(reports)} in {where}. {hint}"
        raise UsageError(message, hint=hint)
    return "".join(
        heading_of(number, len(reports)) + report.to_text(verbosity)
        for number, report in enumerate(reports, 1)
    )


def heading_of(number: int, of: int) -> str:
    """Return what stands before a report; nothing before the only one."""
    if of == 1:
        return ""
    rule = f"\n{'─' * 60}\n\n" if number > 1 else ""
    return f"{rule}Deadlock {number} of {of}\n\n"


def chosen(reports: list[Report], number: int | None) -> list[Report]:
    """Return the one that ``--deadlock`` names, or all."""
    if number is None:
        return reports
    if not 1 <= number <= len(reports):
        hint = f"Give a number from 1 to {len(reports)}."
        message = f"There is no deadlock {number} in the log. {hint}"
        raise UsageError(message, hint=hint)
    return [reports[number - 1]]
