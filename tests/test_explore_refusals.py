"""What a search refuses, and that it says what to do."""

from __future__ import annotations

import itertools
import math
import re
import sys
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from interleaved import accounts
from orm.models import Account, Tag

from django_lockstep.exceptions import Nondeterministic, UsageError
from django_lockstep.testing import explore

pytestmark = pytest.mark.usefixtures("clean_orm")


def change() -> None:
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=1)
        account.balance += 1
        account.save()


async def later() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"preemptions": -1}, "preemptions cannot be -1. Give a whole number, 0 or more."),
        ({"preemptions": True}, "preemptions cannot be True."),
        ({"preemptions": 1.0}, "preemptions cannot be 1.0."),
        ({"seed": 2**70, "max_schedules": 3}, f"seed cannot be {2**70}."),
        ({"seed": 1, "depth": 0}, "depth cannot be 0. Give a whole number, 1 or more."),
        ({"depth": 3}, "depth=3 is for random schedules, and all are asked for. Give a seed"),
        ({"seed": 1, "preemptions": 1}, "Give seed or preemptions, not both."),
        ({"seed": 1, "reduced": False}, "reduced=False runs every schedule. Leave out seed and preemptions."),
        ({"seed": 1, "max_schedules": math.inf, "max_seconds": math.inf}, "Random schedules never end."),
        (
            {"max_schedules": 1.5},
            "max_schedules cannot be 1.5. Give a whole number, or math.inf for no limit.",
        ),
        ({"max_schedules": "all"}, "max_schedules cannot be 'all'. Give a number, zero or more."),
        ({"max_seconds": -1}, "max_seconds cannot be -1. Give a number, zero or more."),
        ({"max_seconds": math.nan}, "max_seconds cannot be nan."),
        ({"max_seconds": True}, "max_seconds cannot be True."),
        ({"only": "A B", "seed": 1}, "only=… is one schedule. Leave out seed, preemptions and reduced"),
        ({"only": "A B", "preemptions": 1}, "only=… is one schedule."),
        ({"only": "A B", "reduced": False}, "only=… is one schedule."),
        ({"only": 5}, "An order is a string, not 5."),
        ({"only": "A C"}, "names 'C' at its entry 2, which is no session."),
        ({"only": "A lock:orm_account B"}, "'lock:orm_account' names no row."),
        ({"only": 'A lock:public.nowhere:{"id":1} B free'}, "There is no table public.nowhere"),
        ({"setup": 5}, "setup=5 cannot be called. Give a function without arguments"),
        ({"invariant": True}, "invariant=True cannot be called. Give a function without arguments"),
        ({"setup": later}, "later is an async function: calling it runs nothing."),
        ({"using": None}, 'There is no database alias "None". The aliases in DATABASES are "default"'),
        ({"using": "nowhere"}, 'There is no database alias "nowhere".'),
    ],
)
def test_arguments_that_make_no_sense(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        explore(change, change, **given)


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("A A A B A", "at its entry 5 (A), after B's SELECT FOR UPDATE orm_account"),
        ("A B B", "at its entry 3 (B), after B's SELECT FOR UPDATE orm_account"),
        ("A A A B B B B", "at its entry 7 (B), after B's COMMIT"),
    ],
)
def test_a_schedule_that_cannot_be_followed(schedule: str, told: str) -> None:
    accounts()
    with pytest.raises(UsageError, match=re.escape(told)) as raised:
        explore(change, change, only=schedule)
    assert "or only its beginning" in (raised.value.hint or "")
    assert Account.objects.get(pk=1).balance == 100, "it is put back"
    explore(change, change, only="A B A")


def test_a_row_that_no_schedule_decides() -> None:
    """All have the same statement."""
    calls = itertools.count()

    def unsteady() -> None:
        Account.objects.filter(pk=next(calls)).update(balance=0)

    told = r"\(row 2 of public.orm_account\) before, UPDATE .* \(row 3 of public.orm_account\) now"
    with pytest.raises(Nondeterministic, match=told):
        explore(unsteady, change, setup=accounts)


@pytest.mark.parametrize("returned", [0, [], ""])
def test_an_invariant_that_may_mean_either(returned: object) -> None:
    with pytest.raises(UsageError, match=re.escape(f"invariant returned {returned!r}, which may mean")):
        explore(change, change, setup=accounts, invariant=lambda: returned)
    with pytest.raises(UsageError, match=re.escape("invariant returned <QuerySet []>, which may mean")):
        explore(change, change, setup=accounts, invariant=lambda: Account.objects.filter(balance=0))


@pytest.mark.parametrize("what", ["setup", "invariant"])
def test_a_transaction_that_is_left_open(what: str) -> None:
    def begin() -> None:
        if what == "setup":
            accounts()
        connection.set_autocommit(False)
        Account.objects.filter(pk=1).update(balance=7)

    given: dict[str, Any] = {"setup": accounts, what: begin}
    side = "before" if what == "setup" else "after"
    told = (
        f'{what} left a transaction open on database alias "default", {side} schedule 1: no session would see'
    )
    with pytest.raises(UsageError, match=told):
        explore(change, change, **given)
    assert connection.get_autocommit()
    assert not Account.objects.exists(), "it is put back"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_a_setup_that_raises_says_that_it_was_the_setup() -> None:
    Tag.objects.create(name="a")
    with pytest.raises(IntegrityError) as raised:
        explore(change, change, setup=lambda: Tag.objects.create(name="a"))
    assert raised.value.__notes__ == ["setup raised this, before schedule 1."]
