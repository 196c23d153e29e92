"""Deadlocks that PostgreSQL cannot see, for one side of them is in this very process (S25)."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.utils import CursorWrapper
from orm.models import Account
from witness import RUNS

from django_lockstep.exceptions import UsageError
from django_lockstep.testing import run_together, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report


@pytest.fixture(autouse=True)
def accounts(clean_orm: str) -> None:  # noqa: ARG001
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    connections.close_all()


@pytest.fixture(params=["by the kernel", "by frames"])
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Threads are looked at as on Linux, and as elsewhere."""
    if request.param == "by frames":
        monkeypatch.setattr(threads, "_FUTEX", -1)
    return str(request.param)


def change() -> None:
    Account.objects.filter(pk=1).update(balance=1)


def read() -> None:
    Account.objects.count()


def holding_while(waits: Callable[[], object]) -> Callable[[], None]:
    def holds() -> None:
        with transaction.atomic():
            change()
            waits()

    return holds


def assert_headline(report: Report) -> None:
    assert report.hidden_deadlock
    assert report.verdict.startswith("HIDDEN DEADLOCK after ")
    for face in (report.to_text(), report.to_html(), report.to_mermaid(), report.to_json()):
        assert "HIDDEN DEADLOCK" in face or '"hidden_deadlock": true' in face


def assert_held_up(report: Report, session: str) -> None:
    assert report.outcome == "blocked_by_outsider", report.to_text(2)
    assert_headline(report)
    assert re.search(
        rf"{session}\b.* waited at \S*test_hidden\.py:\d+ for another thread", report.explanation
    )
    assert "a hidden deadlock" in report.explanation
    assert report.elapsed < 10  # of the 60 s that the run may take


def assert_hidden(report: Report) -> None:
    assert report.outcome == "blocked_by_outsider", report.to_text(2)
    assert_headline(report)
    assert "this very process's own connection" in report.explanation
    assert re.search(r"its code is at \S*test_hidden\.py:\d+", report.explanation)
    wait = next(event for event in report.events if event.kind == "waiting")
    assert report.elapsed - wait.at < 10  # of the 60 s that the run may take


def test_the_calling_thread_holds_the_row_in_a_transaction_without_atomic() -> None:
    for _ in range(RUNS):
        connection.set_autocommit(False)
        change()
        report = run_together(change, read, timeout=60)
        connection.rollback()
        connection.set_autocommit(True)
        assert_hidden(report)


def test_another_thread_holds_the_row_and_waits_for_the_run() -> None:
    for _ in range(5):
        holds, over = threading.Event(), threading.Event()

        def hold(holds: threading.Event = holds, over: threading.Event = over) -> None:
            with transaction.atomic():
                change()
                holds.set()
                over.wait()
            connections.close_all()

        thread = threading.Thread(target=hold)
        thread.start()
        holds.wait()
        report = run_together(change, read, timeout=60)
        over.set()
        thread.join()
        assert_hidden(report)


def test_a_callable_that_waits_for_its_own_thread_which_needs_its_row(look: str) -> None:
    """S25 of the field."""
    assert look

    def other_thread() -> None:
        with suppress(OperationalError):
            change()
        connections.close_all()

    def joins() -> None:
        with transaction.atomic():
            change()
            thread = threading.Thread(target=other_thread)
            thread.start()
            thread.join()

    for _ in range(RUNS):
        report = run_together(joins, read, timeout=60)
        assert_held_up(report, "joins")
        assert "held what it had locked by UPDATE orm_account [1, 1]" in report.explanation
        assert re.search(
            r"Another thread of this process, on backend \d+ \(its code is at \S*test_hidden\.py:\d+\), "
            r"waited for a lock that joins held\.",
            report.explanation,
        )


def locks_held_by_python() -> dict[str, Callable[[], tuple[Callable[[], object], Callable[[], object]]]]:
    """What to wait with, and what would end the wait, for each of Python's ways to wait for another thread."""

    def lock(made: Any) -> tuple[Callable[[], object], Callable[[], object]]:
        made.acquire()

        def wait() -> None:
            made.acquire()

        return wait, made.release

    def event() -> tuple[Callable[[], object], Callable[[], object]]:
        made = threading.Event()
        return made.wait, made.set

    def queued(made: Any) -> tuple[Callable[[], object], Callable[[], object]]:
        def wait() -> None:
            made.get()

        return wait, partial(made.put, None)

    def future() -> tuple[Callable[[], object], Callable[[], object]]:
        made: Future[None] = Future()
        return made.result, partial(made.set_result, None)

    return {
        "a lock": lambda: lock(threading.Lock()),
        "a semaphore": lambda: lock(threading.Semaphore()),
        "an event": event,
        "a queue": lambda: queued(queue.Queue()),
        "a simple queue": lambda: queued(queue.SimpleQueue()),
        "a future": future,
    }


@pytest.mark.parametrize("way", locks_held_by_python())
def test_a_callable_that_waits_for_another_one_which_needs_its_row(way: str, look: str) -> None:
    assert look
    for _ in range(RUNS // 4):
        wait, end = locks_held_by_python()[way]()

        def waits(wait: Callable[[], object] = wait) -> None:
            with transaction.atomic():
                change()
                wait()

        def asks(end: Callable[[], object] = end) -> None:
            try:
                change()
            finally:
                end()

        report = run_together(waits, asks, timeout=60)
        assert_held_up(report, "waits")
        wait_told = (
            "asks waited for UPDATE orm_account, held by waits. waits held what it had locked by UPDATE"
        )
        assert report.explanation.startswith(wait_told), report.explanation


def test_a_lock_of_python_between_two_callables(look: str) -> None:
    assert look
    for _ in range(RUNS):
        lock = threading.RLock()

        def locks_then_asks(lock: Any = lock) -> None:
            with lock:
                change()

        def asks_then_locks(lock: Any = lock) -> None:
            with transaction.atomic():
                change()
                with lock:
                    read()

        report = run_together(locks_then_asks, asks_then_locks, order="B", timeout=60)
        assert_held_up(report, "asks_then_locks")


def test_callables_that_wait_for_each_other_in_python_alone(look: str) -> None:
    assert look
    first, second = threading.Event(), threading.Event()

    def one() -> None:
        change()
        first.wait()
        second.set()

    def two() -> None:
        read()
        second.wait()
        first.set()

    report = run_together(one, two, timeout=60)
    assert report.outcome == "blocked_by_outsider", report.to_text(2)
    assert_headline(report)
    assert len(re.findall(r"waited at \S*test_hidden\.py:\d+ for another thread", report.explanation)) == 2
    first.set()
    second.set()


def test_a_callable_that_waits_in_python_stays_waiting_and_the_order_goes_on(look: str) -> None:
    assert look
    for _ in range(RUNS // 4):
        lock = threading.Lock()

        def one(lock: threading.Lock = lock) -> None:
            with lock:
                for _ in range(3):
                    read()

        def two(lock: threading.Lock = lock) -> None:
            read()
            with lock:
                read()

        def three() -> None:
            for _ in range(3):
                read()

        report = run_together(one, two, three, timeout=60)
        assert report.outcome == "no_conflict", report.to_text(2)
        released = [event.session for event in report.events if event.kind == "request"]
        assert released == ["one", "two", "three", "one", "three", "one", "two", "three"]


def test_an_order_that_names_who_waits_in_python_says_so(look: str) -> None:
    assert look
    lock = threading.Lock()

    def one() -> None:
        with lock:
            change()
            read()

    def two() -> None:
        read()
        with lock:
            read()

    where = (
        r"entry 3 \(two\), after two's SELECT .*: two waits for another thread at \S*test_hidden\.py:\d+, and"
    )
    with pytest.raises(UsageError, match=where):
        run_together(one, two, order="A B B", timeout=60)


def sleeps() -> None:
    time.sleep(0.3)


def waits_for_a_while() -> None:
    threading.Event().wait(0.3)


def waits_for_a_lock_for_a_while() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=0.3)


def joins_a_thread_that_sleeps() -> None:
    thread = threading.Thread(target=sleeps)
    thread.start()
    thread.join()


def waits_for_a_thread_that_computes() -> None:
    until = time.monotonic() + 0.3

    def computes() -> None:
        while time.monotonic() < until:
            sum(range(1000))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(computes).result()


def waits_for_a_thread_that_asks_the_server() -> None:
    def asks() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.3)")
        connections.close_all()

    thread = threading.Thread(target=asks)
    thread.start()
    thread.join()


def waits_for_a_process() -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)"], check=True)


def reads_what_is_yet_to_come() -> None:
    reader, writer = os.pipe()
    thread = threading.Timer(0.3, os.write, (writer, b"!"))
    thread.start()
    os.read(reader, 1)
    thread.join()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    "waits",
    [
        sleeps,
        waits_for_a_while,
        waits_for_a_lock_for_a_while,
        joins_a_thread_that_sleeps,
        waits_for_a_thread_that_computes,
        waits_for_a_thread_that_asks_the_server,
        waits_for_a_process,
        reads_what_is_yet_to_come,
    ],
)
def test_what_ends_by_itself_is_no_deadlock(waits: Callable[[], None], look: str) -> None:
    assert look
    report = run_together(holding_while(waits), change, timeout=60)
    assert report.outcome == "no_conflict", report.to_text(2)
    assert [event.session for event in report.events if event.kind == "waiting"] == ["change"]


def test_a_thread_that_was_there_before_may_end_it(look: str) -> None:
    """It wakes up by the clock, so it is given a second."""
    assert look
    wanted, done, over = threading.Event(), threading.Event(), threading.Event()

    def polls() -> None:
        while not over.wait(0.2):
            if wanted.is_set():
                done.set()

    poller = threading.Thread(target=polls)
    poller.start()

    def waits() -> None:
        wanted.set()
        done.wait()

    report = run_together(holding_while(waits), change, timeout=60)
    over.set()
    poller.join()
    assert report.outcome == "no_conflict", report.to_text(2)


def waits_until(over: threading.Event) -> None:
    over.wait(60)


def is_making_a_cursor(until: threading.Event) -> None:
    """A ``CursorWrapper`` hands every name that it has not got yet on to its cursor, and has not got that either."""

    class Cursor(CursorWrapper):
        def __init__(self) -> None:
            until.wait(60)

    Cursor()


@pytest.mark.parametrize("stands", [waits_until, is_making_a_cursor])
def test_threads_that_were_there_before_and_do_nothing_hide_no_deadlock(
    stands: Callable[[threading.Event], None], look: str
) -> None:
    assert look
    over, never = threading.Event(), threading.Event()
    idle = threading.Thread(target=stands, args=(over,))
    idle.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(sleeps).result()
        report = run_together(holding_while(never.wait), change, timeout=60)
    never.set()
    over.set()
    idle.join()
    assert_held_up(report, "holds")
