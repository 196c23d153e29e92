"""A gate within one statement: a session that holds a row until two others wait for it.

The order in which one statement locks many rows is the server's, and no schedule of statements decides how two of them
meet. Two that lock the same rows in different orders deadlock "very rarely". With one of the rows held until both wait
for it, each has the rows that it locks before that one; then the row is let go, and they meet.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from django_lockstep.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from django_lockstep import Report

NAME = "gate"
"""What the session that holds the row is called."""
_LOCK, _MAKE, _FREE = "lock:", "make:", "free"
_MOST_ROWS = 5
"""So many of the rows that two statements have in common are tried."""
_LOCKING = ("UPDATE", "INSERT", "DELETE", "SELECT FOR", "MERGE", "WITH")


@dataclass(frozen=True, order=True)
class Row:
    """A row that two statements want."""

    table: str
    columns: str
    """A JSON object: its primary key, or, if it is not there yet, all the others."""
    exists: bool
    """Whether it is there."""

    def __str__(self) -> str:
        return f"{_LOCK if self.exists else _MAKE}{self.table}:{self.columns}"


@dataclass(frozen=True)
class Meeting:
    """Two sessions, how many steps each takes before its statement over many rows, and the row in the middle."""

    first: tuple[int, int]
    second: tuple[int, int]
    row: Row

    def order(self, gate: int) -> tuple[int, ...]:
        """Return whose steps are released; ``gate`` is the number of the session that holds the row."""
        (one, before), (other, before_other) = self.first, self.second
        return (*[one] * before, *[other] * before_other, gate, one, other, gate)

    def spelt(self, letter: Callable[[int], str]) -> str:
        """Return the schedule as text."""
        (one, before), (other, before_other) = self.first, self.second
        beginning = [letter(one)] * before + [letter(other)] * before_other
        return " ".join([*beginning, str(self.row), letter(one), letter(other), _FREE])


def read(schedule: str) -> tuple[str, Row] | None:
    """Return a schedule's order with the gate's name in it, and the row; ``None`` if it has no row."""
    words = schedule.split()
    for kind in (_LOCK, _MAKE):
        for word in words:
            table, _, columns = word.removeprefix(kind).partition(":")
            if not word.startswith(kind):
                continue
            try:
                json.loads(columns)
            except ValueError:
                message = f"{word!r} names no row. Paste the schedule as the finding has it."
                raise UsageError(message) from None
            order = " ".join(NAME if other in {word, _FREE} else other for other in words)
            return order, Row(table, columns, kind == _LOCK)
    return None


def with_many_rows(report: Report) -> set[str]:
    """Return the sessions with a statement that may have locked several rows. Behind another one it may find none."""
    return {
        session.name
        for session in report.sessions
        if any((taken.rows or 0) > 1 and taken.step.startswith(_LOCKING) for taken in session.statements)
    }


def meetings(rows: Sequence[Mapping[int, set[Row]]]) -> Iterator[Meeting]:
    """Return how two can meet: ``rows`` has for each session the rows of a statement, by the steps before it."""
    for one, mine in enumerate(rows):
        for other, theirs in enumerate(rows):
            for before, wanted in mine.items() if one != other else ():
                for before_other, wanted_too in theirs.items():
                    common = sorted(wanted & wanted_too)
                    for row in common[:_MOST_ROWS] if len(common) > 1 else ():
                        yield Meeting((one, before), (other, before_other), row)


def holder(row: Row, keys: Sequence[str], using: str) -> Callable[[], None]:
    """Return a callable that holds the row with its first step, and lets go of it with its second.

    ``keys`` are the columns of the table's primary key: a row that is made has others than any row will have.
    """
    columns: dict[str, Any] = json.loads(row.columns)

    def hold() -> None:
        with suppress(_LetGo), transaction.atomic(using=using):
            with connections[using].cursor() as cursor:
                cursor.execute(statement, [json.dumps(columns)])
            raise _LetGo

    record = f"jsonb_populate_record(NULL::{row.table}, %s::jsonb) wanted"
    if row.exists:
        same = " AND ".join(f"held.{key} = wanted.{key}" for key in keys)
        statement = f"SELECT 1 FROM {row.table} held, {record} WHERE {same} FOR UPDATE OF held"
    else:
        columns.update({key.strip('"'): -1 for key in keys if key.strip('"') not in columns})
        names = ", ".join(connections[using].ops.quote_name(name) for name in columns)
        statement = f"INSERT INTO {row.table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {record}"
    return hold


def compact(columns: str) -> str:
    """Return a JSON object without spaces, so that it is one word of a schedule."""
    return json.dumps(json.loads(columns), separators=(",", ":")).replace(" ", "\\u0020")


class _LetGo(Exception):
    pass
