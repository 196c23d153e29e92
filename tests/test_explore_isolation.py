"""Isolation levels, by the connection's option or in the code itself: write skew and lost updates."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections, models, transaction
from orm.models import Account
from psycopg import IsolationLevel

from django_lockstep.testing import Exploration, explore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("clean_orm")

LEVELS = ["REPEATABLE READ", "SERIALIZABLE"]
WAYS = ["option", "statement", "session"]


def accounts() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def isolated(level: str, way: str) -> Iterator[None]:
    """A transaction of this level, set in one of the ways that Django code does it."""
    if way == "session":
        run(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
    with transaction.atomic():
        if way == "statement":
            run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        yield


@contextmanager
def option(level: str, way: str) -> Iterator[None]:
    settings = connections.databases["default"]
    before = settings.get("OPTIONS", {})
    if way == "option":
        settings["OPTIONS"] = {**before, "isolation_level": IsolationLevel[level.replace(" ", "_")]}
    connections.close_all()
    yield
    settings["OPTIONS"] = before


def withdrawals(level: str, way: str) -> list[Callable[[], None]]:
    def withdraw(key: int) -> Callable[[], None]:
        def run() -> None:
            with isolated(level, way):
                if sum(Account.objects.values_list("balance", flat=True)) >= 150:
                    Account.objects.filter(pk=key).update(balance=models.F("balance") - 100)

        return run

    return [withdraw(1), withdraw(2)]


def solvent() -> bool:
    return bool(sum(Account.objects.values_list("balance", flat=True)) >= 50)


def kinds(result: Exploration) -> set[str]:
    return {finding.kind for finding in result.findings}


@pytest.mark.parametrize("way", WAYS)
def test_write_skew_is_found_under_repeatable_read(way: str) -> None:
    with option(LEVELS[0], way):
        result = explore(*withdrawals(LEVELS[0], way), setup=accounts, invariant=solvent)
    assert result.complete
    assert kinds(result) == {"violation", "lost_update"}, str(result)


@pytest.mark.parametrize("way", WAYS)
def test_write_skew_is_refused_by_the_server_under_serializable(way: str) -> None:
    with option(LEVELS[1], way):
        result = explore(*withdrawals(LEVELS[1], way), setup=accounts, invariant=solvent)
    assert result.complete
    assert kinds(result) == {"serialization_failure"}, str(result)


@pytest.mark.parametrize("way", WAYS)
def test_a_lost_update_is_refused_by_the_server_under_repeatable_read(way: str) -> None:
    def deposit() -> None:
        with isolated(LEVELS[0], way):
            account = Account.objects.get(pk=1)
            account.balance += 10
            account.save()

    with option(LEVELS[0], way):
        result = explore(deposit, deposit, setup=accounts)
    assert result.complete
    assert kinds(result) == {"serialization_failure"}, str(result)


def test_a_reduced_search_finds_the_same_as_every_order_under_each_level() -> None:
    for level in LEVELS:
        with option(level, "option"):
            found = [
                kinds(explore(*withdrawals(level, "option"), setup=accounts, reduced=reduced))
                for reduced in (True, False)
            ]
        assert found[0] == found[1]
