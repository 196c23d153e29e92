"""Deadlocks a second: pgbench with a pair of rows for every two clients, and ``--repeat`` with as many jobs."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benches.place import TABLE
from django_lockstep._core import _repeat_deadlock

if TYPE_CHECKING:
    from benches.place import Place
    from django_lockstep import Report

SCRIPT = f"""
\\set pair :client_id / 2
\\set side :client_id % 2
\\set first 2 * :pair + 1 + :side
\\set second 2 * :pair + 2 - :side
BEGIN;
SELECT 1 FROM {TABLE} WHERE id = :first FOR UPDATE;
SELECT 1 FROM {TABLE} WHERE id = :second FOR UPDATE;
END;
"""


class Enough(Exception):
    """The time is over."""


def measure(
    place: Place, settings: list[tuple[float, int]], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Return both rates for each ``deadlock_timeout`` and number of pairs: medians of so many rounds, in turns."""
    rows = []
    for deadlock_timeout, pairs in settings:
        theirs, ours, other = [], [], 0
        for _ in range(rounds):
            theirs.append(_pgbench(place, deadlock_timeout, pairs, seconds))
            rate, odd = _repeat(place, deadlock_timeout, pairs, seconds)
            ours.append(rate)
            other += odd
        known = [rate for rate in theirs if rate is not None]
        rows.append(
            {
                "deadlock_timeout": deadlock_timeout,
                "pairs": pairs,
                "pgbench_per_second": statistics.median(known) if known else None,
                "repeat_per_second": statistics.median(ours),
                "ratio": statistics.median(ours) / statistics.median(known) if known else None,
                "runs_without_deadlock": other,
            }
        )
    return rows


def _pgbench(place: Place, deadlock_timeout: float, pairs: int, seconds: float) -> float | None:
    """Return pgbench's deadlocks a second; None where there is no pgbench of PostgreSQL 15 or later."""
    own = place.installation / "bin" / "pgbench"
    elsewhere = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)), None)
    program = own if own.exists() else elsewhere or shutil.which("pgbench")
    if program is None:
        return None
    with TemporaryDirectory() as folder:
        script = Path(folder, "script.sql")
        script.write_text(SCRIPT, encoding="utf-8")
        command = [
            program,
            "-n",
            "-c",
            str(2 * pairs),
            "-j",
            "2",
            "-T",
            str(max(1, round(seconds))),
            "-f",
            script,
        ]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--failures-detailed", place.dsn_at(deadlock_timeout)],
            capture_output=True,
            text=True,
            check=False,
        )
        spent = time.perf_counter() - start
    found = re.search(r"deadlock failures: (\d+)", done.stdout)
    return int(found[1]) / spent if found else None


def _repeat(place: Place, deadlock_timeout: float, pairs: int, seconds: float) -> tuple[float, int]:
    """Return our deadlocks a second, jobs as many as pairs, and how many of the runs did not deadlock."""
    outcomes: list[str] = []

    def on_report(report: Report) -> None:
        outcomes.append(report.outcome)
        if time.perf_counter() - start >= seconds:
            raise Enough

    start = time.perf_counter()
    with contextlib.suppress(Enough):
        _repeat_deadlock(
            place.dsn, 10_000_000, jobs=pairs, on_report=on_report, deadlock_timeout=deadlock_timeout
        )
    spent = time.perf_counter() - start
    deadlocks = outcomes.count("deadlock")
    return deadlocks / spent, len(outcomes) - deadlocks
