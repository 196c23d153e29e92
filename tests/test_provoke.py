"""``provoke_deadlock``: the code under test gets a real 40P01, every time, and what it makes of it is found out."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction
from ledger_code import FAST, HELD, WANTED, lock, retried, transfer
from orm.models import Account
from witness import NothingLeftHere, nothing_left, value, wait_until

from django_lockstep.exceptions import NotSurvived, Refused, UsageError
from django_lockstep.testing import AdvisoryLock, TableLock, assert_survives_deadlock, provoke_deadlock
from django_lockstep.testing.provoke import is_deadlock

if TYPE_CHECKING:
    from witness import Connection


pytestmark = pytest.mark.usefixtures("ledger")


@pytest.mark.parametrize("using", ["default", "teller", "hasty"])
def test_a_retry_inside_an_outer_atomic_is_found(using: str) -> None:
    def nested() -> None:
        with transaction.atomic(using=using):
            Account.objects.using(using).select_for_update().get(pk=1)
            retried(lambda: lock(2, using=using))()

    for times in (1, 2):
        with pytest.raises(NotSurvived, match="outermost atomic") as raised:  # noqa: SIM117
            with provoke_deadlock(holding=HELD, wanting=WANTED, using=using, times=times) as opponent:
                nested()
        assert opponent.findings == ("nested_retry",)
        assert (opponent.deadlocks, opponent.attempts) == (times, times + 1)
        assert "waits for" in str(raised.value)


def retried_in_the_aborted_transaction() -> None:
    with transaction.atomic():
        for _ in range(4):
            try:
                Account.objects.select_for_update().get(pk=1)
                Account.objects.select_for_update().get(pk=2)
            except OperationalError:
                continue
            return


def test_a_retry_in_the_aborted_transaction_itself_is_found() -> None:
    opponent = provoke_deadlock(holding=HELD, wanting=WANTED, deadlock_timeout=FAST)
    with pytest.raises(InternalError) as raised, opponent:
        retried_in_the_aborted_transaction()
    assert opponent.findings == ("nested_retry",)
    assert "25P02" in opponent.explanation
    assert opponent.explanation.endswith("put the retry around the outermost atomic().")
    if sys.version_info >= (3, 11):
        assert raised.value.__notes__[0].startswith(opponent.explanation)
    with pytest.raises(NotSurvived, match="outermost atomic") as told:
        assert_survives_deadlock(
            retried_in_the_aborted_transaction, holding=HELD, wanting=WANTED, deadlock_timeout=FAST
        )
    assert "waits for" in str(told.value)
    assert isinstance(told.value.__cause__, InternalError)


def test_a_call_instead_of_a_function_is_refused() -> None:
    called: Any = transfer(1, 2, 5)  # type: ignore[func-returns-value]
    with pytest.raises(UsageError, match=r"None cannot be called\. Give functions without arguments"):
        assert_survives_deadlock(called, holding=HELD, wanting=WANTED)


def test_an_interrupted_block_is_not_judged() -> None:
    opponent = provoke_deadlock(holding=HELD, wanting=WANTED)
    with pytest.raises(KeyboardInterrupt) as raised, opponent:
        raise KeyboardInterrupt
    assert opponent.findings == ()
    assert getattr(raised.value, "__notes__", []) == []


def test_a_nested_atomic_whose_retry_is_outside_survives() -> None:
    def nested() -> None:
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=1)
            lock(2)

    with provoke_deadlock(holding=HELD, wanting=WANTED, times=2, deadlock_timeout=FAST) as opponent:
        retried(nested)()
    assert (opponent.deadlocks, opponent.attempts, opponent.findings) == (2, 3, ())


def test_code_that_gives_up_raises_its_own_exception_with_a_note() -> None:
    opponent = provoke_deadlock(holding=HELD, wanting=WANTED, deadlock_timeout=FAST)
    with pytest.raises(OperationalError) as raised, opponent:
        transfer(1, 2, 5)
    assert is_deadlock(raised.value)
    assert opponent.findings == ("gave_up",)
    if sys.version_info >= (3, 11):
        (note,) = raised.value.__notes__
        assert note.startswith(
            "The code did not survive: it got 40P01 once, and gave up with OperationalError"
        )


def test_code_that_never_asks_is_found() -> None:
    with (
        pytest.raises(NotSurvived, match="never asked for row 2 of orm_account, which the opponent held"),
        provoke_deadlock(holding=HELD, wanting=WANTED) as opponent,
    ):
        Account.objects.get(pk=2)
    assert (opponent.findings, opponent.deadlocks, opponent.attempts) == (("never_asked",), 0, 0)


@pytest.mark.parametrize("using", ["default", "teller", "hasty"])
def test_an_order_that_cannot_deadlock_is_found(using: str) -> None:
    with (
        pytest.raises(NotSurvived, match="order that cannot deadlock"),
        provoke_deadlock(holding=HELD, wanting=WANTED, using=using) as opponent,
    ):
        lock(2, 1, using=using)
    assert (opponent.findings, opponent.deadlocks, opponent.attempts) == (("wrong_order",), 0, 1)


def test_a_swallowed_error_is_found() -> None:
    with (
        pytest.raises(NotSurvived, match="swallowed it"),
        provoke_deadlock(holding=HELD, wanting=WANTED, deadlock_timeout=FAST) as opponent,
        suppress(OperationalError),
    ):
        transfer(1, 2, 5)
    assert (opponent.findings, opponent.deadlocks, opponent.attempts) == (("swallowed",), 1, 1)


@pytest.mark.parametrize(("effects", "finding"), [(1, None), (3, "ran_twice"), (0, "never_ran")])
def test_side_effects_are_counted(effects: int, finding: str | None) -> None:
    sent: list[str] = []

    def notify() -> None:
        if effects == 3:
            sent.append("in each attempt")
        lock(1, 2)
        if effects == 1:
            sent.append("once")

    with provoke_deadlock(
        holding=HELD,
        wanting=WANTED,
        times=2,
        once=lambda: len(sent),
        deadlock_timeout=FAST,
        strict=False,
    ) as opponent:
        retried(notify)()
    assert len(sent) == effects
    assert opponent.findings == ((finding,) if finding else ())
    assert ("once" in opponent.explanation) is bool(finding)


def test_a_lock_timeout_that_is_too_short_is_found() -> None:
    def impatient() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '20ms'")
            lock(1, 2)

    opponent = provoke_deadlock(holding=HELD, wanting=WANTED)
    with pytest.raises(OperationalError), opponent:
        impatient()
    assert opponent.findings == ("interrupted",)
    assert "with 55P03" in opponent.explanation
    assert opponent.report is not None
    assert opponent.report.outcome == "lock_timeout"


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


def test_refuses_inside_atomic() -> None:
    with transaction.atomic(), pytest.raises(Refused, match="TransactionTestCase"):
        provoke_deadlock(holding=HELD, wanting=WANTED).__enter__()


def test_refuses_what_makes_no_sense() -> None:
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"holding": 3}, "An opponent cannot lock 3"),
        ({"holding": Account()}, "no row yet"),
        ({"holding": Account.objects.none()}, "can never find a row"),
        (
            {"holding": Account.objects.filter(pk=99)},
            "There are no rows of orm_account for the opponent to hold",
        ),
        (
            {"wanting": Account.objects.filter(pk=99)},
            "There are no rows of orm_account for the opponent to ask for",
        ),
        ({"times": 0}, "times cannot be 0"),
        ({"times": True}, "times cannot be True"),
        ({"timeout": 0}, "timeout cannot be 0"),
        ({"once": lambda: "many"}, "once must count"),
        ({"once": 3}, "once cannot be 3. Give a function that counts"),
        ({"strict": "no"}, "strict cannot be 'no'"),
        ({"deadlock_timeout": -1}, "deadlock_timeout cannot be -1. Give deadlock_timeout in seconds"),
        ({"deadlock_timeout": "fast"}, "deadlock_timeout cannot be 'fast'"),
        ({"using": "nowhere"}, 'no database alias "nowhere"'),
    ]
    for keywords, message in mistakes:
        arguments = {"holding": HELD, "wanting": WANTED, **keywords}
        with pytest.raises(UsageError, match=message):  # noqa: SIM117
            with provoke_deadlock(**arguments):
                pytest.fail("the block was entered")
    with pytest.raises(UsageError, match="cannot be locked in mode 'FIRM'"):
        TableLock(Account, "FIRM")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot have the key '7'"):
        AdvisoryLock("7")  # type: ignore[arg-type]


def test_refuses_rows_that_somebody_else_holds() -> None:
    def hold() -> None:
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=1)
            held.submit(lambda: None).result()
            wait_until(lambda: released)
        connections.close_all()

    released: list[bool] = []
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as held:
        holder = pool.submit(hold)
        wait_until(
            lambda: value_of("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
        )
        with pytest.raises(Refused, match=r"Row 1 of orm_account.* locked already, by pid \d+"):
            provoke_deadlock(holding=HELD, wanting=WANTED).__enter__()
        released.append(True)
        holder.result()


def value_of(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return (cursor.fetchone() or (None,))[0]


def test_refuses_a_deadlock_timeout_that_may_not_be_set() -> None:
    with pytest.raises(Refused, match="GRANT SET ON PARAMETER") as raised:
        provoke_deadlock(holding=HELD, wanting=WANTED, using="teller", deadlock_timeout=FAST).__enter__()
    assert raised.value.sqlstate == "42501"


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
