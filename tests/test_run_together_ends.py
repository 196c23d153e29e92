"""How ``run_together`` tells of what the run ended, of what code leaves behind, and of orders it cannot read."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from orm.models import Account
from witness import wait_until

from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.testing import provoke_deadlock, run_together
from django_lockstep.testing.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report


@pytest.fixture(autouse=True)
def accounts(clean_orm: str) -> None:  # noqa: ARG001
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    connections.close_all()


def change(key: int = 1) -> None:
    Account.objects.filter(pk=key).update(balance=1)


def outcomes(report: Report) -> list[str]:
    return [session.outcome for session in report.sessions]


def test_sessions_that_had_not_ended_at_the_timeout_are_unfinished() -> None:
    go_on = threading.Event()

    def waits() -> None:
        change(1)
        go_on.wait(60)

    def is_through() -> None:
        change(2)

    def has_a_turn_to_come() -> None:
        change(2)
        change(2)
        change(2)

    report = run_together(waits, is_through, has_a_turn_to_come, order="B C A", timeout=1)
    go_on.set()
    assert report.outcome == "timeout"
    assert outcomes(report) == ["cancelled", "committed", "cancelled"], report.to_text(2)
    assert "waits and has_a_turn_to_come were not through." in report.explanation
    assert report.sessions[1].message is None
    for unfinished in (report.sessions[0], report.sessions[2]):
        assert unfinished.message == "it was ended with the run, before it had come to its end"
        assert (unfinished.sqlstate, unfinished.exception) == (None, None)


def handed_on(error: DatabaseError) -> None:
    raise error


def made_its_own(error: DatabaseError) -> None:
    raise RuntimeError from error


def swallowed(_error: DatabaseError) -> None:
    return


@pytest.mark.parametrize("handle", [handed_on, made_its_own, swallowed])
def test_what_ended_code_makes_of_that_is_not_told_as_its_error(
    handle: Callable[[DatabaseError], None],
) -> None:
    def sleeps_in_the_server() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")
        except DatabaseError as error:
            handle(error)

    report = run_together(sleeps_in_the_server, change, timeout=0.5)
    assert report.outcome == "timeout"
    ended, other = report.sessions
    assert (ended.outcome, ended.exception, ended.sqlstate) == ("cancelled", None, None), report.to_text(2)
    assert "57014" not in report.to_text(2).partition("NO DEADLOCK")[2].partition("Note:")[0]
    assert other.outcome in {"committed", "cancelled"}
    is_told = any(
        re.match(r"sleeps_in_the_server was ended with the run, and its code met that as ", note)
        for note in report.notes
    )
    assert is_told == (handle is not swallowed)


def test_an_error_of_its_own_at_the_end_of_a_run_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = threading.Event()

    def fails() -> None:
        change(1)
        ending.wait(60)
        raise ZeroDivisionError

    def stopping(ensemble: Ensemble) -> None:
        stops(ensemble)
        ending.set()
        wait_until(ensemble._sessions[0].is_done)

    stops = Ensemble.stopping
    monkeypatch.setattr(Ensemble, "stopping", stopping)
    report = run_together(fails, late, timeout=0.5)
    assert isinstance(report.sessions[0].exception, ZeroDivisionError)
    assert report.sessions[0].outcome == "error"


def late() -> None:
    change(2)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_connection_that_a_thread_of_the_codes_own_left_open_is_told_of(
    witness: Any, *, goes_on: bool
) -> None:
    over = threading.Event()
    backends: list[int] = []
    threads: list[threading.Thread] = []
    asked = threading.Event()

    def forgets() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.append(cursor.fetchone()[0])
        asked.set()
        if goes_on:
            over.wait(60)
            connections.close_all()

    def starts_a_thread() -> None:
        change(1)
        thread = threading.Thread(target=forgets, name="forgetful")
        threads.append(thread)
        thread.start()
        asked.wait(60)
        if not goes_on:
            thread.join()

    report = run_together(starts_a_thread, late)
    (note,) = (note for note in report.notes if note.startswith('Thread "forgetful"'))
    assert re.search(
        rf"opened a connection at \S*test_run_together_ends\.py:\d+ \(backend {backends[0]}\)", note
    )
    assert "connections.close_all()" in note
    assert ("the run closed it" in note) != goes_on

    def is_there() -> bool:
        found = witness.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", backends).fetchone()
        return found is not None

    if goes_on:
        assert is_there()
        over.set()
        threads[0].join()
    else:
        wait_until(lambda: not is_there(), "its backend to be gone")


def test_a_thread_that_closes_its_connection_is_not_told_of() -> None:
    def tidies() -> None:
        change(2)
        connections.close_all()

    def starts_a_thread() -> None:
        thread = threading.Thread(target=tidies)
        thread.start()
        thread.join()

    assert not any("Thread" in note for note in run_together(starts_a_thread, change).notes)


def test_a_run_within_a_function_of_a_run_is_refused() -> None:
    report = run_together(lambda: run_together(change, late), change)
    refused = report.sessions[0].exception
    assert isinstance(refused, Refused)
    assert "run_together cannot be called by a function that is itself run in lock-step" in str(refused)
    assert "Give all the functions to one call" in str(refused)
    assert report.sessions[1].outcome == "committed"


@pytest.mark.parametrize(
    ("order", "where"),
    [
        ("A C B", r"names .C. at its entry 2, which is no session"),
        ("AABB", r"names .AABB. at its entry 1, which is no session"),
        ("change, late", r"names .change,. at its entry 1"),
        (["A", "B"], r"An order is a string, not \[.A., .B.\]"),
    ],
)
def test_an_order_that_names_no_session_says_where_and_what_may_be_written(order: Any, where: str) -> None:
    with pytest.raises(UsageError, match=where) as refused:
        run_together(change, late, order=order)
    forms = '"A B A B" or "change late change late"'
    sessions = "The sessions are A (or change), B (or late); write one for each step, with blanks between"
    assert str(refused.value).endswith(f"{sessions}: {forms}.")
    assert refused.value.hint is not None


def test_functions_of_equal_names_are_called_by_their_letters() -> None:
    def twin() -> Callable[[], None]:
        def change_it() -> None:
            change(1)

        return change_it

    report = run_together(twin(), twin(), late, order="B A C")
    assert [session.name for session in report.sessions] == ["A", "B", "late"]
    requests = [event.session for event in report.events if event.kind == "request"]
    assert requests == ["B", "A", "late"]
    with pytest.raises(
        UsageError, match=r'The sessions are A, B, C \(or late\);.* "A B C A B C" or "A B late'
    ):
        run_together(twin(), twin(), late, order="change_it")


def test_the_text_tells_the_deadlock_timeout_that_counted_and_the_servers() -> None:
    def forth() -> None:
        with transaction.atomic():
            change(1)
            change(2)

    def back() -> None:
        with transaction.atomic():
            change(2)
            change(1)

    report = run_together(forth, back)
    servers = f"{report.server.deadlock_timeout:g}"
    assert f"deadlock_timeout {servers} s" in report.to_text().splitlines()[0]
    assert f"deadlock_timeout (0.001 s in this run; the server's is {servers} s)" in report.explanation


def test_a_run_within_the_block_of_an_opponent_is_met_by_it() -> None:
    def transfers() -> None:
        with transaction.atomic():
            change(1)
            change(2)

    def tries_again() -> None:
        try:
            transfers()
        except DatabaseError:
            transfers()

    held, wanted = Account.objects.filter(pk=2), Account.objects.filter(pk=1)
    with provoke_deadlock(holding=held, wanting=wanted) as opponent:
        report = run_together(tries_again, lambda: Account.objects.count())
    assert (opponent.deadlocks, opponent.findings) == (1, ())
    assert [session.exception for session in report.sessions] == [None, None]
    assert [account.balance for account in Account.objects.order_by("pk")] == [1, 1]
