"""``explore``: how many schedules there are, and how many of them a second."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from django.db import connection, transaction

from benches.place import TABLE
from django_lockstep.testing import explore


def measure(shapes: list[tuple[int, int]], seconds: float) -> list[dict[str, Any]]:
    """Explore so many sessions with so many statements each; every session touches the same rows in the same order."""
    rows: list[dict[str, Any]] = []
    for sessions, statements in shapes:
        work = [partial(_work, statements) for _ in range(sessions)]
        start = time.perf_counter()
        found = explore(*work, max_schedules=None, max_seconds=seconds)
        spent = time.perf_counter() - start
        rows.append(
            {
                "sessions": sessions,
                "statements": statements,
                "schedules": found.schedules,
                "again": found.again,
                "complete": found.complete,
                "per_second": found.schedules / spent,
            }
        )
    return rows


def _work(statements: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for row in range(1, statements + 1):
            cursor.execute(f"UPDATE {TABLE} SET balance = balance + 1 WHERE id = %s", [row])
