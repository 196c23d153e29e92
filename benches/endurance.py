"""Thousands of deadlocks in one process: does every one come, with the chosen victim, and does the process grow?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django_lockstep._core import _repeat_deadlock

if TYPE_CHECKING:
    from benches.place import Place
    from django_lockstep import Report

DEADLOCK_TIMEOUT = 0.001
JOBS = 2


def measure(place: Place, times: int) -> list[dict[str, Any]]:
    """Repeat so many times, first with nothing else, then with other processes that want both cores."""
    return [_once(place, times, busy=busy) for busy in (False, True)]


def _once(place: Place, times: int, *, busy: bool) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    victims: Counter[str] = Counter()
    memory = []

    def on_report(report: Report) -> None:
        outcomes[report.outcome] += 1
        victims.update(report.victims)
        # Allocators take what they will need in the first tenth.
        if outcomes.total() in {times // 10, times}:
            memory.append(_resident_megabytes())

    with ExitStack() as stack:
        for _ in range(2 if busy else 0):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        start = time.perf_counter()
        _repeat_deadlock(
            place.dsn, times, jobs=JOBS, on_report=on_report, deadlock_timeout=DEADLOCK_TIMEOUT, victim="B"
        )
        seconds = time.perf_counter() - start
    return {
        "runs": times,
        "jobs": JOBS,
        "busy": busy,
        "seconds": seconds,
        "outcomes": dict(outcomes),
        "victims": dict(victims),
        "share_deadlocked": outcomes["deadlock"] / times,
        "share_with_chosen_victim": victims["B"] / times,
        "megabytes_after_a_tenth": memory[0],
        "megabytes_at_the_end": memory[-1],
    }


def _resident_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
