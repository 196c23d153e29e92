"""Hidden deadlocks of code that has several connections: PostgreSQL takes each for a session of its own."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from interleaved import accounts
from orm.models import Account

from django_lockstep.testing import explore, run_together

pytestmark = pytest.mark.usefixtures("clean_orm")


def by_itself() -> None:
    with transaction.atomic():
        Account.objects.filter(pk=1).update(balance=1)
        Account.objects.using("other").filter(pk=1).update(balance=2)


def elsewhere() -> None:
    Account.objects.filter(pk=3).update(balance=3)


def test_code_that_waits_for_its_own_other_connection() -> None:
    accounts()
    report = run_together(by_itself, elsewhere)
    assert report.hidden_deadlock
    assert report.outcome == "blocked_by_outsider"
    told = re.escape(
        "That is another connection of by_itself's own code, which has a transaction open there."
    )
    assert re.search(rf"by_itself waited for .*, held by by_itself\. {told}", report.explanation)
    assert "one database alias" in report.explanation
    assert report.to_html()
    assert [session.exception for session in report.sessions] == [None, None]


def test_a_search_says_so_of_every_schedule() -> None:
    result = explore(by_itself, elsewhere, setup=accounts)
    (found,) = result.findings
    assert (found.kind, result.stopped) == ("hidden_deadlock", "hang")


def test_two_that_wait_for_each_other_on_two_aliases() -> None:
    def first() -> None:
        with transaction.atomic(), transaction.atomic(using="other"):
            Account.objects.filter(pk=1).update(balance=1)
            Account.objects.using("other").filter(pk=2).update(balance=1)

    def second() -> None:
        with transaction.atomic(), transaction.atomic(using="other"):
            Account.objects.filter(pk=2).update(balance=2)
            Account.objects.using("other").filter(pk=1).update(balance=2)

    accounts()
    report = run_together(first, second)
    assert report.hidden_deadlock
    assert re.search(
        r"first waited for .*, held by second\. second waited for .*, held by first\. A lock",
        report.explanation,
    )


def test_a_deadlock_that_postgresql_sees_is_its_own() -> None:
    def careful(first: int, second: int) -> None:
        with transaction.atomic(using="other"):
            list(Account.objects.using("other").filter(pk=3))
            with transaction.atomic():
                Account.objects.filter(pk=first).update(balance=1)
                Account.objects.filter(pk=second).update(balance=1)

    accounts()
    report = run_together(lambda: careful(1, 2), lambda: careful(2, 1))
    assert (report.outcome, report.hidden_deadlock) == ("deadlock", False)


def test_a_wait_for_a_safe_snapshot_is_a_wait_and_ends_by_itself() -> None:
    """SERIALIZABLE READ ONLY DEFERRABLE waits for those who write, and for no lock (manual, "SET TRANSACTION")."""

    def begin(characteristics: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE{characteristics}")

    def write() -> None:
        with transaction.atomic():
            begin("")
            Account.objects.filter(pk=1).update(balance=5)
            Account.objects.filter(pk=2).update(balance=5)

    def total() -> list[int]:
        with transaction.atomic():
            begin(", READ ONLY, DEFERRABLE")
            return list(Account.objects.order_by("pk").values_list("balance", flat=True))

    accounts()
    report = run_together(write, total, order="A A B B A A")
    waiting = [event for event in report.events if event.kind == "waiting"]
    assert [(event.session, event.blocked_by) for event in waiting] == [("total", ("write",))]
    assert (report.outcome, report.sessions[1].result) == ("no_conflict", [100, 100, 100])
