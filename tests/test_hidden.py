"""Deadlocks that PostgreSQL cannot see, for one side of them is in this very process (S25)."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections, transaction
from orm.database import emptied, orm_on, sessions_of
from orm.models import Account
from witness import NothingLeftHere, wait_until

from django_lockstep.testing import run_together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Report

RUNS = 50


@pytest.fixture(scope="module", autouse=True)
def orm(server_dsn: str) -> Iterator[str]:
    with orm_on(server_dsn) as dsn:
        yield dsn


@pytest.fixture(autouse=True)
def accounts(orm: str) -> Iterator[None]:
    before = NothingLeftHere()
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    connections.close_all()
    yield
    emptied()
    connections.close_all()
    wait_until(lambda: not sessions_of(orm), f"{sessions_of(orm)} to be gone")
    before.check()


def change() -> None:
    Account.objects.filter(pk=1).update(balance=1)


def read() -> None:
    Account.objects.count()


def assert_hidden(report: Report) -> None:
    assert report.outcome == "blocked_by_outsider", report.to_text(2)
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


def test_a_callable_that_waits_for_its_own_thread_which_needs_its_row() -> None:
    def other_thread() -> None:
        change()
        connections.close_all()

    def joins() -> None:
        with transaction.atomic():
            change()
            thread = threading.Thread(target=other_thread, daemon=True)
            thread.start()
            thread.join()

    before = time.monotonic()
    report = run_together(joins, read, timeout=1)
    assert time.monotonic() - before < 30
    assert report.outcome == "timeout"
    assert re.search(
        r"joins came to no other gate: .* at \S*test_hidden\.py:\d+\.",
        report.notes[0],
    )


def test_a_lock_of_python_between_two_callables() -> None:
    lock = threading.Lock()

    def locks_then_asks() -> None:
        with lock:
            change()

    def asks_then_locks() -> None:
        with transaction.atomic():
            change()
            with lock:
                read()

    report = run_together(locks_then_asks, asks_then_locks, order="B", timeout=1)
    assert report.outcome == "timeout"
    (note,) = report.notes
    assert re.search(r"asks_then_locks came to no other gate: .* at \S*test_hidden\.py:\d+\.$", note)
