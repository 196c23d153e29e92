"""``explore``: the user's own code in every order that can make a difference, on a real server."""

from __future__ import annotations

import io
import itertools
import math
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from orm.models import Account, Tag

from django_lockstep._core import Search
from django_lockstep.exceptions import Nondeterministic, Refused, UsageError
from django_lockstep.testing import explore, explorer, progress, run_together

pytestmark = pytest.mark.usefixtures("clean_orm")


def accounts() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])


def total() -> bool:
    return bool(sum(Account.objects.values_list("balance", flat=True)) == 200)


def naive(source: int, target: int) -> None:
    with transaction.atomic():
        payer = Account.objects.select_for_update().get(pk=source)
        payee = Account.objects.select_for_update().get(pk=target)
        payer.balance -= 30
        payee.balance += 30
        payer.save()
        payee.save()


def ordered(source: int, target: int) -> None:
    with transaction.atomic():
        locked = {key: Account.objects.select_for_update().get(pk=key) for key in sorted((source, target))}
        locked[source].balance -= 30
        locked[target].balance += 30
        locked[source].save()
        locked[target].save()


def deposit() -> None:
    account = Account.objects.get(pk=1)
    account.balance += 10
    account.save()


def test_the_naive_transfer_deadlocks_and_does_nothing_else() -> None:
    result = explore(lambda: naive(1, 2), lambda: naive(2, 1), setup=accounts, invariant=total)
    assert {finding.kind for finding in result.findings} == {"deadlock"}, str(result)
    assert result.complete
    assert len(result.deadlocks) == 1
    found = result.deadlocks[0]
    assert found.schedule in {"A B A B", "B A B A", "A B B A", "B A A B"}
    accounts()
    assert run_together(lambda: naive(1, 2), lambda: naive(2, 1), order=found.schedule).deadlocked


def test_a_finding_is_replayed_by_its_schedule_alone() -> None:
    def run(only: str | None = None) -> tuple[str, ...]:
        result = explore(lambda: naive(1, 2), lambda: naive(2, 1), setup=accounts, only=only)
        return tuple(finding.schedule for finding in result.deadlocks)

    found = run()
    assert run(found[0]) == found


def test_the_ordered_transfer_is_shown_not_to_deadlock() -> None:
    result = explore(lambda: ordered(1, 2), lambda: ordered(2, 1), setup=accounts, invariant=total)
    assert (result.findings, result.complete, result.contended) == ((), True, True), str(result)


def test_an_update_is_lost_without_a_lock_and_that_is_found_unasked() -> None:
    result = explore(deposit, deposit, setup=accounts)
    assert [finding.kind for finding in result.findings] == ["lost_update"], str(result)
    assert result.complete
    again = explore(
        deposit, deposit, setup=accounts, only=result.findings[0].schedule, invariant=total_is_220
    )
    assert [finding.kind for finding in again.findings] == ["violation", "lost_update"]


def total_is_220() -> bool:
    return bool(sum(Account.objects.values_list("balance", flat=True)) == 220)


def test_an_f_expression_loses_nothing() -> None:
    def add() -> None:
        Account.objects.filter(pk=1).update(balance=models.F("balance") + 10)

    result = explore(add, add, setup=accounts, invariant=total_is_220)
    assert (result.findings, result.complete) == ((), True), str(result)


def test_a_broken_invariant_says_what_it_said() -> None:
    def never_low() -> None:
        low = Account.objects.filter(balance__lt=100).count()
        assert not low, f"{low} accounts are low"

    result = explore(lambda: ordered(1, 2), deposit, setup=accounts, invariant=never_low)
    assert any("1 accounts are low" in finding.about for finding in result.violations), str(result)


def test_write_skew_is_found_under_read_committed() -> None:
    def withdraw(key: int) -> None:
        with transaction.atomic():
            if sum(Account.objects.values_list("balance", flat=True)) >= 150:
                Account.objects.filter(pk=key).update(balance=models.F("balance") - 100)

    def solvent() -> bool:
        return bool(sum(Account.objects.values_list("balance", flat=True)) >= 50)

    result = explore(lambda: withdraw(1), lambda: withdraw(2), setup=accounts, invariant=solvent)
    assert {finding.kind for finding in result.findings} == {"violation", "lost_update"}, str(result)


def test_sessions_on_disjoint_tables_run_once_or_twice() -> None:
    def tags() -> None:
        with transaction.atomic():
            Tag.objects.create(name="a")
            Tag.objects.create(name="b")

    def balances() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=1)
            Account.objects.filter(pk=2).update(balance=2)

    result = explore(tags, balances, setup=accounts)
    assert result.schedules <= 2, str(result)
    assert (result.findings, result.complete) == ((), True)


def test_a_unique_violation_is_an_exception_that_is_found() -> None:
    def make() -> None:
        if not Tag.objects.filter(name="a").exists():
            Tag.objects.create(name="a")

    result = explore(make, make)
    kinds = {finding.kind for finding in result.findings}
    assert "exception" in kinds, str(result)
    assert all(
        IntegrityError.__name__ in found.about for found in result.findings if found.kind == "exception"
    )


def test_every_schedule_starts_from_the_same_state_sequences_too() -> None:
    Account.objects.create(pk=7, balance=7)
    seen: list[tuple[list[tuple[int, int]], int]] = []

    def setup() -> None:
        tag = Tag.objects.create(name="first")
        seen.append((list(Account.objects.values_list("pk", "balance")), tag.pk))

    def spoil() -> None:
        Account.objects.all().delete()
        Tag.objects.create(name="spoilt")

    explore(spoil, lambda: Account.objects.update(balance=1), setup=setup)
    assert len(seen) > 1
    assert len(set(map(str, seen))) == 1
    assert list(Account.objects.values_list("pk", "balance")) == [(7, 7)]
    assert not Tag.objects.exists()


def test_a_clock_in_the_code_is_named() -> None:
    ticks = itertools.count()

    def unsteady() -> None:
        if next(ticks) % 2:
            Account.objects.filter(pk=1).update(balance=1)
        else:
            Account.objects.filter(pk=1).delete()

    with pytest.raises(Nondeterministic, match=r"session unsteady .* step 1: .*orm_account"):
        explore(unsteady, deposit_quietly, setup=accounts)


def test_a_server_that_never_keeps_the_order_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unruly:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.search = Search(*args, **kwargs)

        def begin(self) -> bool:
            return self.search.begin()

        def run(self, *args: Any) -> SimpleNamespace:
            ran = self.search.run(*args)
            return SimpleNamespace(
                report=ran.report,
                written=ran.written,
                diverged=None,
                again=False,
                overtaken=(1, 0, 1000),
            )

    monkeypatch.setattr(explorer, "Search", Unruly)
    told = r"let deposit in before session deposit_quietly, .* each of 1,000 runs .* fewer sessions"
    with pytest.raises(Nondeterministic, match=told):
        explore(deposit, deposit_quietly, setup=accounts)


def deposit_quietly() -> None:
    Account.objects.filter(pk=1).update(balance=5)


def test_a_terminal_sees_how_far_the_search_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    for stderr in (terminal, file):
        monkeypatch.setattr(sys, "stderr", stderr)
        explore(deposit, deposit, setup=accounts)
    assert re.search(r"\d+ schedules, \d found, \d+/s", terminal.getvalue())
    assert file.getvalue() == ""


def test_a_finding_shows_the_run_of_its_own_schedule() -> None:
    result = explore(lambda: naive(1, 2), lambda: naive(2, 1), setup=accounts)
    (found,) = result.deadlocks
    statements = [
        (statement.requested, session.name)
        for session in found.report.sessions
        for statement in session.statements
    ]
    released = [name for _, name in sorted(statements)]
    assert " ".join(released).startswith(found.schedule)
    assert f'\nonly="{found.schedule}"\n' in str(found)


def test_a_lost_update_happens_again_by_the_line_to_paste() -> None:
    (found,) = explore(deposit, deposit, setup=accounts).findings
    assert f'\nonly="{found.schedule}"\n' in str(found)
    again = explore(deposit, deposit, setup=accounts, only=found.schedule)
    assert (again.schedules, again.stopped) == (1, "only")
    assert [finding.kind for finding in again.findings] == ["lost_update"]


def test_limits_bounds_and_random_schedules_are_not_complete() -> None:
    limited = explore(deposit, deposit, setup=accounts, max_schedules=2)
    assert (limited.schedules, limited.complete) == (2, False)
    assert not explore(deposit, deposit, setup=accounts, preemptions=0).complete
    one = explore(deposit, deposit, setup=accounts, preemptions=1)
    assert [finding.kind for finding in one.findings] == ["lost_update"]
    random = explore(deposit, deposit, setup=accounts, seed=3, max_schedules=20)
    assert (random.schedules, random.complete) == (20, False)
    assert [finding.kind for finding in random.findings] == ["lost_update"]


def test_refuses_what_cannot_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="two callables"):
        explore(deposit)
    with pytest.raises(UsageError, match="never end"):
        explore(deposit, deposit, seed=1, max_schedules=math.inf, max_seconds=math.inf)
    with pytest.raises(UsageError, match="which is no session"):
        explore(deposit, deposit, only="A C")
    with transaction.atomic(), pytest.raises(Refused, match="TransactionTestCase"):
        explore(deposit, deposit)
    monkeypatch.setitem(connection.settings_dict["TEST"], "NAME", None)
    with pytest.raises(Refused, match="does not look like a test database"):
        explore(deposit, deposit)
