"""Everything that Django can send waits at the gate; whichever the driver, the thread, and the way out."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from child import Child
from django.db import connection, connections, transaction
from orm.database import sessions_of
from orm.models import Account
from witness import wait_until

from django_lockstep.testing import Ensemble, run_together
from django_lockstep.testing.guards import dsn_of_free_alias

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report

TESTS = Path(__file__).parent

DJANGO = f"""
    sys.path.insert(0, {str(TESTS)!r})
    import orm
    from django.db import connection, connections, transaction
    for alias in connections:
        connections.databases[alias].update(json.loads(sys.argv[2]))
    from orm.models import Account
    from django_lockstep.testing import run_together
    def locks(*keys):
        def locking():
            with transaction.atomic():
                for key in keys:
                    Account.objects.select_for_update().get(pk=key)
        return locking
"""


@pytest.fixture(autouse=True)
def accounts(clean_orm: str) -> None:  # noqa: ARG001
    Account.objects.bulk_create([Account(pk=1), Account(pk=2), Account(pk=3)])
    connections.close_all()


def place() -> str:
    names = ("HOST", "PORT", "USER", "PASSWORD")
    return json.dumps({name: connections.databases["default"].get(name, "") for name in names})


def steps_of(function: Callable[[], object]) -> list[str]:
    report = run_together(function, lambda: None)
    session = report.sessions[0]
    assert session.exception is None, report.to_text(2)
    return [statement.step for statement in session.statements]


def waits_of(report: Report) -> list[str]:
    return [event.step for event in report.events if event.kind == "waiting"]


def test_executemany() -> None:
    def many() -> None:
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE orm_account SET balance = %s WHERE id = %s", [(1, 1), (2, 2)])

    assert steps_of(many) == ["UPDATE orm_account"]


def test_a_server_side_cursor_locks_at_its_fetches() -> None:
    def iterates() -> list[int]:
        with transaction.atomic():
            rows = Account.objects.select_for_update().order_by("pk").iterator(chunk_size=1)
            return [account.pk for account in rows]

    def holds() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=2).update(balance=0)
            Account.objects.count()

    steps = steps_of(iterates)
    assert steps[0] == "DECLARE FOR UPDATE orm_account" or steps[0].startswith("SELECT FOR UPDATE")
    assert steps.count("FETCH") == 4
    report = run_together(iterates, holds, order="B A A A")
    assert report.sessions[0].result == [1, 2, 3]
    assert waits_of(report) == ["FETCH"]


def test_stored_procedures_and_copy() -> None:
    def calls() -> None:
        with connection.cursor() as cursor:
            cursor.callproc("pg_sleep", [0])

    def copies() -> None:
        with connection.cursor() as cursor, cursor.copy("COPY orm_account TO STDOUT") as copy:
            assert len(list(copy)) == 3

    assert steps_of(calls) == ["CALL pg_sleep"]
    assert steps_of(copies) == ["COPY"]


def test_closing_in_a_transaction_is_a_rollback() -> None:
    def closes() -> None:
        connection.set_autocommit(False)
        Account.objects.update(balance=0)
        connection.close()
        Account.objects.count()

    assert steps_of(closes) == ["UPDATE orm_account", "ROLLBACK", "SELECT orm_account"]


def test_transactions_by_hand() -> None:
    def by_hand() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE orm_account IN EXCLUSIVE MODE")
            cursor.execute("COMMIT")

    report = run_together(by_hand, lambda: None)
    assert report.sessions[0].outcome == "committed"
    assert "commit" in [event.kind for event in report.events]


def test_another_alias_on_the_same_server_is_watched_too() -> None:
    def on(alias: str, *keys: int) -> Callable[[], None]:
        def locking() -> None:
            with transaction.atomic(using=alias):
                for key in keys:
                    Account.objects.using(alias).select_for_update().get(pk=key)

        return locking

    report = run_together(on("other", 1, 2), on("default", 2, 1))
    assert report.victims == ("B",), report.to_text(2)
    assert set(report.cycle) == {"A", "B"}


def test_nothing_of_a_session_is_left_to_the_next_callable() -> None:
    def leaves() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            cursor.execute("SET lock_timeout = '9s'")
            cursor.execute("SELECT current_setting('application_name')")
            return str(cursor.fetchone()[0])

    def looks() -> tuple[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('lock_timeout'), count(*) FROM pg_locks WHERE locktype = 'advisory'"
            )
            timeout, locks = cursor.fetchone()
            return str(timeout), int(locks)

    with Ensemble(["A", "B"], dsn_of_free_alias("default", "this test"), "default", 30.0) as ensemble:
        report = ensemble.run([leaves, leaves])
        assert [session.result for session in report.sessions] == ["lockstep A", "lockstep B"]
        report = ensemble.run([looks, looks])
        assert [session.result for session in report.sessions] == [("0", 0), ("0", 0)]


def test_psycopg2(orm: str) -> None:
    code = f"""
    sys.modules["psycopg"] = None
    {DJANGO}
    from django.db.backends.postgresql.psycopg_any import is_psycopg3
    say(is_psycopg3)
    for _ in range(20):
        report = run_together(locks(1, 2), locks(2, 1))
        say([report.outcome, list(report.victims), report.sessions[1].exception.__cause__.pgcode])
    def iterates():
        with transaction.atomic():
            return [account.pk for account in Account.objects.select_for_update().order_by("pk").iterator(chunk_size=1)]
    report = run_together(iterates, locks(2))
    say([report.sessions[0].result, [statement.step for statement in report.sessions[0].statements].count("FETCH")])
    """
    with Child(code, orm, place()) as child:
        assert child.heard() is False
        for _ in range(20):
            assert child.heard() == ["deadlock", ["B"], "40P01"]
        assert child.heard() == [[1, 2, 3], 4]
        assert child.ended() == (0, "")


def test_ctrl_c_while_a_callable_waits(orm: str) -> None:
    code = f"""
    {DJANGO}
    def holds():
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=0)
            threading.Event().wait(100)
    try:
        run_together(holds, locks(1), timeout=100, on_event=told, order="A")
    except KeyboardInterrupt:
        say("interrupted")
    """
    with Child(code, orm, place()) as child:
        child.heard_until(["acquired", "holds"])
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "interrupted"
        wait_until(lambda: not sessions_of(orm), f"{sessions_of(orm)} to be gone")
        assert child.ended()[0] == 0


def test_under_djangos_test_runner_the_second_ctrl_c_ends_the_run(orm: str) -> None:
    """Its first one is for unittest, which lets the test come to its end (``unittest.installHandler``)."""
    code = f"""
    {DJANGO}
    import unittest
    from django.test.runner import DiscoverRunner
    result = unittest.TestResult()
    unittest.registerResult(result)
    DiscoverRunner(verbosity=0).setup_test_environment()
    def waits():
        Account.objects.filter(pk=1).update(balance=0)
        say("on its way")
        while not result.shouldStop:
            time.sleep(0.001)
        say("the first is heard")
        threading.Event().wait(100)
    try:
        run_together(waits, locks(1), timeout=100, order="A")
    except KeyboardInterrupt:
        say("interrupted")
    """
    with Child(code, orm, place()) as child:
        assert child.heard() == "on its way"
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "the first is heard"
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "interrupted"
        wait_until(lambda: not sessions_of(orm), f"{sessions_of(orm)} to be gone")
        assert child.ended()[0] == 0


def test_in_a_thread_of_sync_to_async(orm: str) -> None:
    code = f"""
    {DJANGO}
    import asyncio
    from asgiref.sync import sync_to_async
    async def view(thread_sensitive):
        run = sync_to_async(run_together, thread_sensitive=thread_sensitive)
        return (await run(locks(1, 2), locks(2, 1))).outcome
    for thread_sensitive in (True, False):
        say(asyncio.run(view(thread_sensitive)))
    """
    with Child(code, orm, place()) as child:
        assert [child.heard(), child.heard()] == ["deadlock", "deadlock"]
        assert child.ended() == (0, "")
