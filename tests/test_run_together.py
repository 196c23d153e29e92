"""``run_together``: the user's own code, in turns or in a given order, on a real server."""

from __future__ import annotations

import gc
import re
import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, models, transaction
from orm.models import Account
from witness import RUNS, leftovers, wait_until

from django_lockstep import LockstepError
from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.testing import run_together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Event, Report


@pytest.fixture(autouse=True)
def accounts(clean_orm: str) -> None:  # noqa: ARG001
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    connections.close_all()


def transfer(source: int, target: int, amount: int = 30) -> int:
    with transaction.atomic():
        payer = Account.objects.select_for_update().get(pk=source)
        payee = Account.objects.select_for_update().get(pk=target)
        payer.balance -= amount
        payee.balance += amount
        payer.save()
        payee.save()
    return amount


def ordered(source: int, target: int) -> None:
    with transaction.atomic():
        list(Account.objects.select_for_update().filter(pk__in=[source, target]).order_by("pk"))
        Account.objects.filter(pk=source).update(balance=models.F("balance") - 30)
        Account.objects.filter(pk=target).update(balance=models.F("balance") + 30)


def forth() -> int:
    return transfer(1, 2)


def back() -> int:
    return transfer(2, 1)


def told(report: Report, *kinds: str) -> list[tuple[str, str, str]]:
    return [(event.session, event.kind, event.step) for event in report.events if event.kind in kinds]


def test_a_naive_transfer_deadlocks_in_turns() -> None:
    report = run_together(forth, back)
    assert report.deadlocked, report.to_text(2)
    assert [session.name for session in report.sessions] == ["forth", "back"]
    assert report.victims == ("back",)
    assert set(report.cycle) == {"forth", "back"}
    survivor, victim = report.sessions
    assert (survivor.outcome, survivor.result, survivor.exception) == ("committed", 30, None)
    assert (victim.outcome, victim.sqlstate, victim.result) == ("deadlock_victim", "40P01", None)
    assert type(victim.exception).__name__ == "OperationalError"
    assert victim.detail is not None
    assert str(victim.backend_pid) in victim.detail
    assert told(report, "waiting", "error") == [
        ("forth", "waiting", "SELECT FOR UPDATE orm_account"),
        ("back", "waiting", "SELECT FOR UPDATE orm_account"),
        ("back", "error", "SELECT FOR UPDATE orm_account"),
    ]
    assert [account.balance for account in Account.objects.order_by("pk")] == [70, 130]


def test_the_explanation_tells_statements_of_one_line_from_each_other() -> None:
    def changes(*keys: int) -> None:
        with transaction.atomic():
            for key in keys:
                Account.objects.filter(pk=key).update(balance=5)

    report = run_together(lambda: changes(1, 2), lambda: changes(2, 1))
    changed = [
        rf"held what it had locked by UPDATE orm_account \[5, {first}\] \(\S*:\d+\) and asked for more by "
        rf"UPDATE orm_account \[5, {second}\]"
        for first, second in ((2, 1), (1, 2))
    ]
    assert re.search(rf"A {changed[1]} .*; B {changed[0]}", report.explanation), report.explanation


def test_an_ordered_transfer_does_not() -> None:
    report = run_together(lambda: ordered(1, 2), lambda: ordered(2, 1))
    assert report.outcome == "no_conflict", report.to_text(2)
    assert told(report, "waiting")
    assert [session.name for session in report.sessions] == ["A", "B"]
    assert [account.balance for account in Account.objects.order_by("pk")] == [100, 100]


def test_events_name_the_line_the_statement_and_its_parameters() -> None:
    report = run_together(forth, back)
    first = next(event for event in report.events if event.kind == "request")
    assert re.fullmatch(r"tests/test_run_together\.py:\d+|.*/test_run_together\.py:\d+", first.source or "")
    assert first.statement is not None
    assert first.statement.endswith("FOR UPDATE -- 1")
    commits = [event for event in report.events if event.kind == "commit"]
    assert [event.session for event in commits] == ["forth"]
    assert "forth held what it had locked by SELECT FOR UPDATE orm_account" in report.explanation


def test_a_given_order_is_kept_and_the_rest_goes_on() -> None:
    report = run_together(forth, back, order="A A A A A B")
    assert report.outcome == "no_conflict", report.to_text(2)
    requests = told(report, "request", "commit")
    assert [session for session, _, _ in requests[:5]] == ["forth"] * 5
    by_name = run_together(forth, back, order="forth back forth back")
    assert by_name.deadlocked
    by_letter = run_together(forth, back, order="A B A B")
    assert by_letter.victims == by_name.victims == ("back",)
    assert run_together(forth, back, order="B A B A").victims == ("forth",)


def test_a_step_that_waits_stays_waiting_and_the_order_goes_on() -> None:
    report = run_together(forth, forth, order="A B A A A A")
    assert report.outcome == "no_conflict", report.to_text(2)
    assert told(report, "waiting") == [("B", "waiting", "SELECT FOR UPDATE orm_account")]


def test_an_order_that_cannot_be_followed_says_where_and_why() -> None:
    with pytest.raises(
        UsageError, match=r'order "A B B" cannot be followed at its entry 3 \(B\).*B waits for a lock'
    ):
        run_together(forth, forth, order="A B B")
    assert [account.balance for account in Account.objects.order_by("pk")] == [100, 100]
    with pytest.raises(UsageError, match=r"entry 6 \(A\), after A's COMMIT.*it has ended"):
        run_together(forth, forth, order="A A A A A A")
    with pytest.raises(
        UsageError,
        match=r"names 'C' at its entry 2, which is no session. The sessions are A \(or forth\), B \(or back\)",
    ):
        run_together(forth, back, order="A C")


def test_what_a_callable_raises_is_told_and_not_raised() -> None:
    def fails() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=0)
            raise ValueError("no more")

    report = run_together(fails, forth)
    failed, other = report.sessions
    assert failed.outcome == "error"
    assert failed.message == "ValueError: no more"
    assert isinstance(failed.exception, ValueError)
    assert other.outcome == "committed"
    assert report.outcome == "error"
    assert ("fails", "rollback", "ROLLBACK") in told(report, "rollback")
    assert [account.balance for account in Account.objects.order_by("pk")] == [70, 130]


def test_names_come_from_the_callables() -> None:
    def names(*functions: Any) -> list[str]:
        return [session.name for session in run_together(*functions).sessions]

    def read() -> None:
        Account.objects.count()

    assert names(read, lambda: None, read) == ["A", "B", "C"]
    assert names(partial(transfer, 1, 2), read) == ["transfer", "read"]


def test_a_retry_after_the_deadlock_is_seen_as_a_victim_that_returned() -> None:
    def retried() -> int:
        for _ in range(3):
            try:
                return back()
            except Exception:  # noqa: BLE001 whatever it was
                continue
        raise AssertionError

    report = run_together(forth, retried)
    assert report.victims == ("retried",)
    assert report.sessions[1].result == 30
    assert report.sessions[1].exception is None
    assert told(report, "commit") == [("forth", "commit", "COMMIT"), ("retried", "commit", "COMMIT")]


def test_autocommit_savepoints_and_on_commit_are_steps() -> None:
    ran: list[int] = []

    def saves() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=1)
            with transaction.atomic():
                transaction.on_commit(lambda: ran.append(Account.objects.count()))
        Account.objects.filter(pk=2).update(balance=2)

    report = run_together(saves, lambda: None)
    steps = [step for session, _, step in told(report, "request", "commit") if session == "saves"]
    assert steps == [
        "UPDATE orm_account",
        "SAVEPOINT",
        "RELEASE SAVEPOINT",
        "COMMIT",
        "SELECT orm_account",
        "UPDATE orm_account",
    ]
    assert ran == [2]
    assert [event.kind for event in report.events][:2] == ["begin", "request"]


def test_each_callable_has_a_thread_and_a_backend_of_its_own() -> None:
    def whoami() -> tuple[str, int, str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('application_name')")
            pid, name = cursor.fetchone()
        return threading.current_thread().name, pid, name

    report = run_together(whoami, lambda: whoami())
    (first, pid, name), (second, other_pid, other_name) = (session.result for session in report.sessions)
    assert (first, name) == ("lockstep whoami", "lockstep whoami")
    assert (second, other_name) == ("lockstep B", "lockstep B")
    assert pid != other_pid
    assert [session.backend_pid for session in report.sessions] == [pid, other_pid]


def test_it_refuses_inside_atomic() -> None:
    with transaction.atomic(), pytest.raises(Refused) as refused:
        run_together(forth, back)
    for name in ("TransactionTestCase", "django_db(transaction=True)", "atomic()"):
        assert name in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((forth,), {}, "two callables"),
        ((forth, 1), {}, "cannot be called"),
        ((forth, back), {"timeout": 0}, "timeout"),
        ((forth, back), {"timeout": "soon"}, "timeout"),
        ((forth, back), {"order": ["A"]}, "An order is a string"),
        ((forth, back), {"using": "nowhere"}, 'no database alias "nowhere"'),
    ],
)
def test_it_teaches_about_mistakes(arguments: Any, keywords: Any, message: str) -> None:
    with pytest.raises(LockstepError, match=message):
        run_together(*arguments, **keywords)


async def _counts() -> int:
    return await Account.objects.acount()


def _yields() -> Iterator[int]:
    yield Account.objects.count()


def test_what_runs_nothing_when_it_is_called_is_refused() -> None:
    for function, message in ((_counts, "async function"), (_yields, "generator function")):
        for given in (function, partial(function)):
            with pytest.raises(UsageError, match=message):
                run_together(forth, given)
    report = run_together(forth, lambda: _counts())
    assert isinstance(report.sessions[1].exception, UsageError)
    assert report.outcome == "error"
    report = run_together(forth, async_to_sync(_counts))
    assert report.sessions[1].result == 2
    assert [event.session for event in report.events if event.kind == "request"].count(
        report.sessions[1].name
    ) == 1
    gc.collect()  # under Python 3.10, asgiref's own thread ends only with its executor


def test_a_callable_that_takes_no_step_is_told_of() -> None:
    report = run_together(forth, lambda: 1)
    assert report.notes == (
        "B took no step: its code asked the server nothing in its own thread by Django's connections.",
    )


def test_a_callable_that_does_not_come_back_is_named_and_left_behind(orm: str) -> None:
    go_on = threading.Event()

    def sleeps() -> None:
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=1)
            go_on.wait(60)
            Account.objects.update(balance=0)

    report = run_together(sleeps, forth, timeout=0.5)
    assert report.outcome == "timeout"
    (note,) = report.notes
    assert re.search(
        r"sleeps came to no other gate: .* at \S*test_run_together\.py:\d+\. Its connection",
        note,
    )
    with closing(psycopg.connect(orm, autocommit=True)) as asking:
        wait_until(lambda: leftovers(asking) == [], "its backend to be gone")
    go_on.set()
    wait_until(
        lambda: not any(thread.name == "lockstep sleeps" for thread in threading.enumerate()), "its end"
    )
    assert [account.balance for account in Account.objects.order_by("pk")] == [100, 100]


def test_what_on_event_raises_ends_the_run() -> None:
    def interrupt(event: Event) -> None:
        if event.kind == "waiting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_together(forth, back, on_event=interrupt)
    assert [account.balance for account in Account.objects.order_by("pk")] == [100, 100]


def test_it_happens_every_time() -> None:
    for _ in range(RUNS):
        Account.objects.update(balance=100)
        report = run_together(forth, back)
        assert report.victims == ("back",), report.to_text(2)


def test_an_exception_that_cannot_say_what_it_is_ends_its_session_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def mute() -> None:
        Account.objects.count()
        raise Mute

    report = run_together(mute, lambda: Account.objects.count())
    assert (report.outcome, type(report.sessions[0].exception)) == ("error", Mute)
