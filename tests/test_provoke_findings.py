"""What ``provoke_deadlock`` finds out about the code under test, and says of it."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction
from ledger_code import FAST, HELD, WANTED, lock, retried, transfer
from orm.models import Account
from witness import RUNS

from django_lockstep.exceptions import NotSurvived
from django_lockstep.testing import assert_survives_deadlock, provoke_deadlock
from django_lockstep.testing.provoke import is_deadlock

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


def test_locks_in_two_transactions_of_which_one_waits_for_the_other_in_python_are_told_apart_from_a_stall() -> (
    None
):
    """The block holds one row, starts a thread that asks for the other, and joins it: PostgreSQL sees no cycle."""

    def asks() -> None:
        lock(2)
        connections.close_all()

    with provoke_deadlock(holding=HELD, wanting=WANTED, strict=False) as opponent, transaction.atomic():
        Account.objects.select_for_update().get(pk=1)
        thread = threading.Thread(target=asks)
        thread.start()
        thread.join()
    assert opponent.findings == ("other_transaction",)
    assert (opponent.deadlocks, opponent.attempts) == (0, 1)
    assert "wait for no other thread inside atomic()" in opponent.explanation
    assert opponent.report is not None
    assert opponent.report.outcome == "blocked_by_outsider"


@pytest.mark.parametrize("using", ["default", "teller"])
def test_code_in_a_thread_that_the_block_joins_survives(using: str) -> None:
    def works() -> None:
        retried(lambda: lock(1, 2, using=using))()
        connections.close_all()

    for _ in range(RUNS // 4):
        with provoke_deadlock(holding=HELD, wanting=WANTED, using=using, times=2) as opponent:
            thread = threading.Thread(target=works)
            thread.start()
            thread.join()
        assert (opponent.deadlocks, opponent.attempts, opponent.findings) == (2, 3, ())
