"""Code that tries again after it was aborted: what it leaves is compared as well, in every order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, transaction
from interleaved import accounts
from orm.models import Account, Tag

from django_lockstep.testing import explore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def move(source: int, target: int) -> None:
    with transaction.atomic():
        for key, change in ((source, -1), (target, 1)):
            account = Account.objects.select_for_update().get(pk=key)
            account.balance += change
            account.save()


def again(code: Callable[[], None]) -> Callable[[], None]:
    def trying() -> None:
        for _ in range(3):
            try:
                code()
            except OperationalError:
                continue
            return

    return trying


def kinds(*callables: Callable[[], None]) -> set[str]:
    result = explore(*callables, setup=accounts)
    assert result.complete
    return {finding.kind for finding in result.findings}


def test_a_retry_of_all_that_was_read_and_written_leaves_what_a_serial_order_leaves() -> None:
    assert kinds(again(lambda: move(1, 2)), again(lambda: move(2, 1))) == {"deadlock"}


def test_a_retry_with_what_was_read_before_loses_an_update() -> None:
    """The lock is taken anew, and the balance is that of the first attempt."""

    def stale(first: int, second: int) -> Callable[[], None]:
        def deposit() -> None:
            read: dict[int, int] = {}

            def attempt() -> None:
                with transaction.atomic():
                    for key in (first, second):
                        account = Account.objects.select_for_update().get(pk=key)
                        account.balance = read.setdefault(key, account.balance) + 10
                        account.save()

            again(attempt)()

        return deposit

    two = (stale(1, 2), stale(2, 1))
    result = explore(*two, setup=accounts, invariant=nothing_lost)
    assert {finding.kind for finding in result.findings} == {"deadlock", "lost_update", "violation"}
    lost = next(finding for finding in result.violations if finding.kind == "lost_update")
    assert "balance" in lost.about
    for finding in result.violations:
        replayed = explore(*two, setup=accounts, invariant=nothing_lost, only=finding.schedule)
        assert finding.kind in {found.kind for found in replayed.findings}, finding.schedule


def nothing_lost() -> bool:
    return list(Account.objects.filter(pk__lt=3).values_list("balance", flat=True)) == [120, 120]


def test_who_gives_up_has_lost_nothing() -> None:
    """It catches the abort, says so in another table, and goes without."""

    def once(name: str, source: int, target: int) -> Callable[[], None]:
        def moving() -> None:
            try:
                move(source, target)
            except OperationalError:
                Tag.objects.create(name=name)

        return moving

    assert kinds(once("forth", 1, 2), once("back", 2, 1)) == {"deadlock"}
