"""Many at once: threads and processes do not disturb each other, and the GIL is free while a run goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from child import Child
from witness import ENDLESS, FAST, At, value

from django_lockstep import Event, simulate_deadlock

if TYPE_CHECKING:
    from witness import Connection


def test_another_python_thread_runs_while_nothing_calls_back(dsn: str, witness: Connection) -> None:
    """Only Python can end the wait, and it can only if the call has let go of the GIL."""
    waits = threading.Event()
    backend: list[int | None] = []
    count = [0]

    def seen(event: Event) -> None:
        backend.append(event.backend_pid)
        waits.set()

    def end_it() -> None:
        waits.wait()
        for _ in range(1_000_000):  # plain Python, that needs the GIL all the time
            count[0] += 1
        value(witness, "SELECT pg_terminate_backend(%s)", backend[0])

    other = threading.Thread(target=end_it)
    other.start()
    report = simulate_deadlock(dsn, deadlock_timeout=ENDLESS, timeout=60, on_event=At("waiting", seen))
    other.join()
    assert report.outcome == "error"
    assert count == [1_000_000]


def test_two_threads_are_in_a_run_at_the_same_time(dsn: str) -> None:
    both = threading.Barrier(2, timeout=30)

    def run() -> str:
        return simulate_deadlock(
            dsn, deadlock_timeout=2, on_event=At("waiting", lambda _: both.wait())
        ).outcome

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(run) for _ in range(2)]
        assert [future.result() for future in futures] == ["deadlock", "deadlock"]


def test_many_runs_in_threads_all_deadlock_and_sweep_nothing(dsn: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: simulate_deadlock(dsn, deadlock_timeout=FAST), range(80)))
    assert all(report.deadlocked for report in reports)
    assert [report.notes for report in reports] == [()] * 80


def test_many_threads_on_the_same_real_rows_never_spoil_each_other(dsn: str, table: str) -> None:
    """They are outsiders to one another and queue up, but every one of them ends."""
    with ThreadPoolExecutor(3) as pool:
        reports = list(
            pool.map(lambda _: simulate_deadlock(dsn, table=table, deadlock_timeout=FAST), range(6))
        )
    assert {report.outcome for report in reports} <= {"deadlock", "blocked_by_outsider"}


def test_many_processes_all_deadlock_and_sweep_nothing(dsn: str) -> None:
    code = """
    for _ in range(10):
        report = simulate_deadlock(dsn, deadlock_timeout=0.01)
        say([report.outcome, list(report.notes)])
    """
    with ExitStack() as stack:
        children = [stack.enter_context(Child(code, dsn)) for _ in range(4)]
        for child in children:
            assert [child.heard() for _ in range(10)] == [["deadlock", []]] * 10
            assert child.ended() == (0, "")
