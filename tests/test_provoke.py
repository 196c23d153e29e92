"""``provoke_deadlock``: the code under test gets a real 40P01, every time, and what it makes of it is found out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections, transaction
from ledger_code import FAST, HELD, WANTED, lock, retried, transfer, value_of
from orm.models import Account
from witness import NothingLeftHere, nothing_left, value, wait_until

from django_lockstep.exceptions import NotSurvived
from django_lockstep.testing import AdvisoryLock, TableLock, provoke_deadlock

if TYPE_CHECKING:
    from witness import Connection


pytestmark = pytest.mark.usefixtures("ledger")


def test_the_report_tells_both_sides() -> None:
    with provoke_deadlock(holding=HELD, wanting=WANTED) as opponent:
        retried(lambda: transfer(1, 2, 5))()
    report = opponent.report
    assert report is not None
    assert report.outcome == "deadlock"
    assert report.cycle == ("code", "opponent")
    told = [
        (event.session, event.kind) for event in report.events if event.kind in ("waiting", "error", "commit")
    ]
    assert told == [
        ("code", "waiting"),
        ("opponent", "waiting"),
        ("code", "error"),
        ("code", "waiting"),
        ("code", "commit"),
    ]
    waiting = next(event for event in report.events if event.kind == "waiting")
    assert waiting.blocked_by == ("opponent",)
    assert waiting.source is not None
    assert "ledger_code.py:" in waiting.source
    code = next(session for session in report.sessions if session.name == "code")
    assert (code.outcome, code.sqlstate) == ("committed", "40P01")
    assert "The code survived." in report.explanation


def test_nothing_is_changed_but_by_the_code() -> None:
    with provoke_deadlock(holding=HELD, wanting=WANTED, times=2, deadlock_timeout=FAST):
        retried(lambda: transfer(1, 2, 5))()
    assert list(Account.objects.filter(pk__in=[1, 2]).order_by("pk").values_list("balance", flat=True)) == [
        9996,
        10007,
    ]


def test_the_connection_is_left_as_it_was() -> None:
    def settings() -> list[object]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('deadlock_timeout'), current_setting('search_path')")
            return list(cursor.fetchone() or ())

    before = settings()
    wrappers, attributes = list(connection.execute_wrappers), set(vars(connection))
    with provoke_deadlock(holding=HELD, wanting=WANTED, deadlock_timeout=FAST):
        assert settings()[0] == "1ms"
        retried(lambda: lock(1, 2))()
    assert settings() == before
    assert connection.execute_wrappers == wrappers
    assert set(vars(connection)) == attributes


@pytest.mark.parametrize(
    ("holding", "wanting", "code"),
    [
        (Account.objects.select_for_update(no_key=True).filter(pk__gt=38), WANTED, lambda: lock(1, 39)),
        (TableLock(Account, "SHARE"), AdvisoryLock(7), "UPDATE orm_account SET balance = balance"),
        (AdvisoryLock(7, 8), WANTED, "SELECT pg_advisory_xact_lock(7, 8)"),
        (Account, AdvisoryLock(7), "SELECT * FROM orm_account WHERE id = 3 FOR UPDATE"),
        (lambda: Account(pk=2), lambda: Account.objects.filter(balance=10_001), lambda: lock(1, 2)),
        (HELD, WANTED.extra(where=["'%%' <> id::text"]), lambda: lock(1, 2)),
    ],
)
def test_all_that_can_be_held_and_wanted(holding: Any, wanting: Any, code: Any) -> None:
    def run() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7)") if wanting == AdvisoryLock(7) else lock(1)
            cursor.execute(code) if isinstance(code, str) else code()

    with provoke_deadlock(holding=holding, wanting=wanting, times=2, deadlock_timeout=0.02) as opponent:
        retried(run)()
    assert (opponent.deadlocks, opponent.attempts) == (2, 3)


def test_as_a_decorator_with_an_opponent_of_its_own_each_time() -> None:
    calls = []

    @provoke_deadlock(holding=lambda: Account.objects.filter(pk=2), wanting=WANTED, deadlock_timeout=FAST)
    def code(value: int) -> int:
        """Has a name."""
        retried(lambda: lock(1, 2))()
        calls.append(value)
        return value

    assert [code(1), code(value=2)] == calls == [1, 2]
    assert (code.__name__, code.__doc__) == ("code", "Has a name.")


def test_code_in_another_thread_is_met_and_heard() -> None:
    def in_a_thread() -> None:
        try:
            retried(lambda: lock(1, 2))()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:  # noqa: SIM117
        with provoke_deadlock(holding=HELD, wanting=WANTED, times=2) as opponent:
            pool.submit(in_a_thread).result()
    assert (opponent.deadlocks, opponent.attempts) == (2, 3)
    assert opponent.report is not None
    assert any(event.source for event in opponent.report.events if event.session == "code")


@pytest.mark.parametrize("using", ["default", "teller"])
def test_code_on_a_connection_that_nobody_hears_is_met_by_what_the_server_says(using: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: connections[using].ensure_connection()).result()
        try:
            with provoke_deadlock(holding=HELD, wanting=WANTED, using=using, times=2) as opponent:
                pool.submit(retried(lambda: lock(1, 2, using=using))).result()
        finally:
            pool.submit(connections.close_all).result()
    assert (opponent.deadlocks, opponent.attempts, opponent.findings) == (2, 3, ())
    assert opponent.report is not None
    code = next(session for session in opponent.report.sessions if session.name == "code")
    assert "orm_account" in code.statements[0].sql


def until_then_lock(none: str, key: int) -> None:
    wait_until(lambda: not value_of(none))
    lock(key)


def end_and_lock(witness: Connection, end: str) -> None:
    assert value(witness, end)
    lock(2, 1)


def test_when_the_time_is_up_the_opponent_steps_aside() -> None:
    before = NothingLeftHere()
    with (
        pytest.raises(NotSurvived, match=r"timeout \(0.2 s\) ran out"),
        provoke_deadlock(holding=HELD, wanting=WANTED, timeout=0.2) as opponent,
    ):
        until_then_lock("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid'", 2)
    assert opponent.findings == ("timeout",)
    before.check()


def test_an_exception_in_the_block_is_left_alone(witness: Connection) -> None:
    before = NothingLeftHere()
    with (
        pytest.raises(ZeroDivisionError),
        provoke_deadlock(holding=HELD, wanting=WANTED),
    ):
        1 / 0  # noqa: B018
    nothing_left(witness)
    before.check()


def test_when_its_backend_is_ended_the_code_goes_on(witness: Connection) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lockstep opponent'"
    )
    with (
        pytest.raises(ConnectionError, match="lost while provoking a deadlock"),
        provoke_deadlock(holding=HELD, wanting=WANTED),
    ):
        end_and_lock(witness, end)
    nothing_left(witness)
