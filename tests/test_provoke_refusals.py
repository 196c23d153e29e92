"""What ``provoke_deadlock`` refuses, and what it says to write instead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from ledger_code import FAST, HELD, WANTED, lock, retried, transfer, value_of
from orm.models import Account
from witness import wait_until

from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.testing import (
    AdvisoryLock,
    TableLock,
    assert_survives_deadlock,
    provoke_deadlock,
    run_together,
)

pytestmark = pytest.mark.usefixtures("ledger")


def test_a_call_instead_of_a_function_is_refused() -> None:
    called: Any = transfer(1, 2, 5)  # type: ignore[func-returns-value]
    with pytest.raises(UsageError, match=r"None cannot be called\. Give a function without arguments"):
        assert_survives_deadlock(called, holding=HELD, wanting=WANTED)


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
        # The opponent lets go of what it holds, although what it asked for is not free yet.
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockstep%'"
        wait_until(lambda: not value_of(ours), "the opponent to be gone")
        released.append(True)
        holder.result()


def test_refuses_a_deadlock_timeout_that_may_not_be_set() -> None:
    with pytest.raises(Refused, match="GRANT SET ON PARAMETER") as raised:
        provoke_deadlock(holding=HELD, wanting=WANTED, using="teller", deadlock_timeout=FAST).__enter__()
    assert raised.value.sqlstate == "42501"


@pytest.mark.parametrize(
    ("holding", "wanting", "message"),
    [
        (HELD, HELD, "both name row 2 of orm_account"),
        (HELD, Account(pk=2), "both name row 2 of orm_account"),
        (Account, HELD, "name rows? .*orm_account, and row 2 of orm_account among them"),
        (Account, Account, "both name rows? .*orm_account"),
        (HELD, lambda: Account.objects.select_for_update(no_key=True).filter(pk=2), "both name row 2"),
        (TableLock(Account), TableLock(Account), "both name table orm_account"),
        (AdvisoryLock(7), AdvisoryLock(7), "both name advisory lock 7"),
    ],
)
def test_refuses_to_want_what_it_holds(holding: Any, wanting: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:  # noqa: SIM117
        with provoke_deadlock(holding=holding, wanting=wanting):
            pytest.fail("the block was entered")
    assert refused.value.hint is not None
    assert "holding=… what the code locks second, and wanting=… what it locks first" in refused.value.hint


def test_wanting_a_stronger_lock_on_what_it_holds_is_no_mistake() -> None:
    """Code that has a row FOR KEY SHARE, as by a foreign key to it, and then changes it."""

    def refers_then_changes() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM orm_account WHERE id = 2 FOR KEY SHARE")
            Account.objects.select_for_update(no_key=True).get(pk=2)

    held = Account.objects.select_for_update(no_key=True).filter(pk=2)
    with provoke_deadlock(holding=held, wanting=HELD, deadlock_timeout=FAST) as opponent:
        retried(refers_then_changes)()
    assert (opponent.deadlocks, opponent.findings) == (1, ())


def test_refuses_a_second_opponent_within_the_block_of_the_first() -> None:
    first = provoke_deadlock(holding=HELD, wanting=WANTED, strict=False)
    second = provoke_deadlock(holding=Account(pk=3), wanting=AdvisoryLock(3))
    with first:
        with pytest.raises(Refused, match=r"has an opponent on database alias .default. already.*.* times="):
            second.__enter__()
        retried(lambda: lock(1, 2))()
    assert first.findings == ()
    with second:
        retried(lambda: third_after_key())()
    assert second.deadlocks == 1


def third_after_key() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(3)")
        Account.objects.select_for_update().get(pk=3)


def test_refuses_in_a_function_that_is_run_in_lock_step() -> None:
    def provokes() -> None:
        with provoke_deadlock(holding=HELD, wanting=WANTED):
            pytest.fail("the block was entered")

    report = run_together(provokes, lambda: lock(1))
    assert isinstance(report.sessions[0].exception, Refused)
    assert "run in lock-step" in str(report.sessions[0].exception)
