"""Several that wait for one row: the search has them let in as they came, whatever the server makes of it."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from django.db import models, transaction
from orm.models import Account, Tag

from django_lockstep.testing import explore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def account() -> None:
    Account.objects.create(pk=1, balance=1)


def balance() -> int:
    return int(Account.objects.get(pk=1).balance)


def change(mark: int, *, atomic: bool = True) -> Callable[[], None]:
    """It makes a difference in which order these are done."""

    def update() -> None:
        Account.objects.filter(pk=1).update(balance=models.F("balance") * 2 + mark)

    def changing() -> None:
        if not atomic:
            update()
            return
        with transaction.atomic():
            update()

    return changing


def in_every_order(marks: range) -> set[int]:
    balances = set()
    for order in permutations(marks):
        left = 1
        for mark in order:
            left = left * 2 + mark
        balances.add(left)
    return balances


@pytest.mark.parametrize(("sessions", "schedules"), [(3, 30), (4, 336)])
def test_all_that_want_one_row_get_it_in_every_order(sessions: int, schedules: int) -> None:
    seen: set[int] = set()
    marks = range(sessions)
    result = explore(
        *map(change, marks), setup=account, invariant=lambda: seen.add(balance()), max_seconds=300
    )
    assert (result.complete, result.schedules, result.redundant) == (True, schedules, 0), str(result)
    assert seen == in_every_order(marks)
    assert result.findings == ()


def test_five_are_too_many_to_finish_and_go_on_until_they_are_told_to_end() -> None:
    result = explore(*map(change, range(5)), setup=account, max_schedules=60)
    assert (result.complete, result.stopped, result.schedules) == (False, "max_schedules", 60)
    assert result.findings == ()


def test_transactions_of_one_statement_that_wait_for_a_longer_one() -> None:
    seen: set[int] = set()
    alone = [change(mark, atomic=False) for mark in (1, 2, 3)]
    result = explore(change(0), *alone, setup=account, invariant=lambda: seen.add(balance()))
    assert result.complete, str(result)
    assert seen == in_every_order(range(4))
    assert result.findings == ()


def test_those_who_would_insert_the_key_of_one_who_rolls_back() -> None:
    seen: set[int] = set()

    def make(mark: int, *, gives_up: bool = False) -> Callable[[], None]:
        def making() -> None:
            with transaction.atomic():
                Tag.objects.bulk_create([Tag(name="a", count=mark)], ignore_conflicts=True)
                transaction.set_rollback(gives_up)

        return making

    result = explore(
        make(0, gives_up=True), make(1), make(2), invariant=lambda: seen.add(Tag.objects.get(name="a").count)
    )
    assert result.complete, str(result)
    assert seen == {1, 2}
    assert result.findings == ()
