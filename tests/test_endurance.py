"""Again and again: no run misses, and the process does not grow."""

from __future__ import annotations

from pathlib import Path

from witness import NothingLeftHere

from django_lockstep import simulate_deadlock


def resident_kilobytes() -> int:
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1])


def test_200_runs_200_deadlocks(dsn: str) -> None:
    outcomes = [simulate_deadlock(dsn, deadlock_timeout=0.01).outcome for _ in range(200)]
    assert outcomes == ["deadlock"] * 200


def test_200_runs_with_the_shortest_deadlock_timeout(dsn: str) -> None:
    outcomes = [simulate_deadlock(dsn, deadlock_timeout=0.001).outcome for _ in range(200)]
    assert outcomes == ["deadlock"] * 200


def test_memory_threads_and_files_do_not_grow(dsn: str) -> None:
    def many(times: int) -> None:
        for _ in range(times):
            simulate_deadlock(dsn, deadlock_timeout=0.001, on_event=lambda _: None)

    many(50)  # allocators take what they will need
    before, memory = NothingLeftHere(), resident_kilobytes()
    many(300)
    before.check()
    assert resident_kilobytes() - memory < 8_000
