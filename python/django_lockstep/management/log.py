"""``--from-log``: the deadlocks that a PostgreSQL server has written to its log, in the faces of a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management.base import CommandError

from django_lockstep._core import html_of_many, read_log
from django_lockstep.catalogue import scenarios
from django_lockstep.exceptions import UsageError
from django_lockstep.management.view import face_of

if TYPE_CHECKING:
    from django_lockstep import Report

NONE = 3


def reports_of(source: str) -> tuple[list[Report], str]:
    """Read the log; return the deadlocks in it and, in words, where they are from."""
    where = "standard input" if source == "-" else source
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        message = (
            f"Cannot read {source}: {error.strerror}. Name a PostgreSQL server log, or - for standard input."
        )
        raise CommandError(message) from error
    # The log of a cluster may have databases in several encodings, and lines in each.
    form, entries, told = read_log(raw.decode("utf-8", "replace"), list(scenarios()))
    if not told:
        message = (
            f"There is no deadlock in {where} ({form}, {entries} entries). Give a PostgreSQL server log in the format "
            "stderr, csvlog or jsonlog, from the time of the deadlock."
        )
        raise CommandError(message, returncode=NONE)
    return [report for report, _ in told], f"{where} ({form})"


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
    parts = (
        f"Deadlock {number} of {len(reports)}\n\n{report.to_text(verbosity)}"
        for number, report in enumerate(reports, 1)
    )
    return f"\n{'─' * 60}\n\n".join(parts)


def chosen(reports: list[Report], number: int | None) -> list[Report]:
    """Return the one that ``--deadlock`` names, or all."""
    if number is None:
        return reports
    if not 1 <= number <= len(reports):
        hint = f"Give a number from 1 to {len(reports)}."
        message = f"There is no deadlock {number} in the log. {hint}"
        raise UsageError(message, hint=hint)
    return [reports[number - 1]]
