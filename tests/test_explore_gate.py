"""Two statements over many rows that meet in the middle: the deadlock is found every time, and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from orm.models import Account, Group, Person

from django_lockstep.testing import assert_deadlocks, assert_no_deadlock, explore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def accounts() -> None:
    Account.objects.bulk_create(Account(pk=key) for key in (1, 2, 3))


def locks(order: str) -> Callable[[], None]:
    def lock() -> None:
        with transaction.atomic():
            list(Account.objects.filter(pk__in=[1, 2, 3]).order_by(order).select_for_update())

    return lock


def assert_found_and_replayed(*callables: Callable[[], None], setup: Callable[[], None]) -> None:
    result = explore(*callables, setup=setup)
    assert result.deadlocks, str(result)
    found = result.deadlocks[0]
    assert not any("closed the cycle" in note for note in found.report.notes), "both had waited for the gate"
    again = explore(*callables, setup=setup, only=found.schedule)
    assert [finding.schedule for finding in again.deadlocks] == [found.schedule], str(again)
    assert_deadlocks(*callables, setup=setup)
    with pytest.raises(AssertionError, match=f"only=.*{found.schedule.split()[-1]}"):
        assert_no_deadlock(*callables, setup=setup)


def test_two_selects_for_update_in_opposite_orders() -> None:
    """S2 of the catalogue."""
    assert_found_and_replayed(locks("pk"), locks("-pk"), setup=accounts)


def test_two_in_the_same_order_do_not() -> None:
    assert assert_no_deadlock(locks("pk"), locks("pk"), setup=accounts).complete


def test_two_updates_of_many_rows_in_plan_order() -> None:
    """S21: the rows come from two lists of values in opposite orders."""

    def update(*keys: int) -> Callable[[], None]:
        values = ", ".join(f"({key}, {key * 10})" for key in keys)

        def run() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE orm_account SET balance = v.n FROM (VALUES {values}) v(id, n) WHERE orm_account.id = v.id"
                )

        return run

    assert_found_and_replayed(update(1, 2, 3), update(3, 2, 1), setup=accounts)


def test_two_additions_to_a_many_to_many_relation() -> None:
    """S8b: ``add`` puts the ids into a set, so that callers who sort them deadlock all the same."""

    def people() -> None:
        Person.objects.create(pk=1)
        Group.objects.bulk_create(Group(pk=key) for key in (42, 115, 137, 152, 187, 282, 290))

    def add(*keys: int) -> Callable[[], None]:
        def run() -> None:
            Person.objects.get(pk=1).groups.add(*keys)

        return run

    assert_found_and_replayed(add(115, 282, 290), add(42, 115, 137, 152, 187, 282, 290), setup=people)
