"""On a real server, too, the reduced search comes to every outcome that all orders come to.

By hand, many more: LOCKSTEP_PROGRAMS=500 python -m pytest tests/test_explore_soundness.py
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, models, transaction
from orm.models import Account, Child, Parent, Tag

from django_lockstep.testing import explore

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = int(os.environ.get("LOCKSTEP_PROGRAMS", "12"))
MOST = 126
"""Programs with more orders than these are passed over."""


pytestmark = pytest.mark.usefixtures("clean_orm")


def rows() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    Tag.objects.bulk_create([Tag(pk=1, name="a"), Tag(pk=2, name="b")])
    Parent.objects.bulk_create([Parent(pk=1), Parent(pk=2)])
    Child.objects.bulk_create([Child(pk=1, parent_id=1)])


def step(chance: random.Random, mark: int) -> Callable[[], Any]:
    """A statement or two, on one row, several, or those of a value that was read."""
    model, key, other = chance.choice([Account, Tag, Parent]), chance.choice([1, 2]), chance.choice([1, 2])
    field = {Account: "balance", Tag: "count", Parent: "number"}[model]
    own = model.objects.filter(pk=key)

    def copy() -> None:
        value = Account.objects.get(pk=other).balance
        own.update(**{field: value * 3 + mark})

    def as_read() -> None:
        value = Account.objects.get(pk=other).balance
        model.objects.filter(pk=value % 2 + 1).update(**{field: mark})

    def nested() -> None:
        try:
            with transaction.atomic():
                Tag.objects.filter(pk=key).update(count=mark)
                if Tag.objects.get(pk=other).count % 2:
                    raise IntegrityError
        except IntegrityError:
            pass

    def named() -> None:
        Tag.objects.get_or_create(name=chance_name, defaults={"count": mark})

    chance_name = chance.choice(["a", "c", "d"])
    return chance.choice(
        [
            lambda: list(own.select_for_update()),
            lambda: list(own.select_for_update(no_key=True)),
            lambda: own.update(**{field: models.F(field) * 2 + mark}),
            lambda: model.objects.filter(**{f"{field}__gt": 0}).update(**{field: mark}),
            lambda: list(model.objects.filter(pk__in=[1, 2]).order_by("pk").select_for_update()),
            lambda: Child.objects.create(parent_id=key, value=mark),
            lambda: Child.objects.filter(parent_id=key).update(value=models.F("value") + mark),
            lambda: Child.objects.filter(pk=1).update(parent_id=other),
            lambda: model.objects.aggregate(total=models.Sum(field)),
            copy,
            copy,
            as_read,
            nested,
            named,
        ]
    )


def program(seed: int) -> list[Callable[[], None]]:
    chance = random.Random(seed)

    def session(mark: int) -> Callable[[], None]:
        atomic = chance.random() < 0.8
        steps = [step(chance, mark) for _ in range(2)]

        def run() -> None:
            for take in steps if not atomic else ():
                take()
            if atomic:
                with transaction.atomic():
                    for take in steps:
                        take()

        return run

    return [session(1), session(2)]


def state() -> str:
    held = [
        list(Account.objects.order_by("pk").values_list("pk", "balance")),
        list(Tag.objects.order_by("name").values_list("name", "count")),
        list(Parent.objects.order_by("pk").values_list("pk", "number")),
        sorted(Child.objects.values_list("parent_id", "value")),
    ]
    return str(held)


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_the_reduced_search_comes_to_every_outcome(seed: int) -> None:
    def outcomes(*, reduced: bool) -> tuple[set[str], int]:
        seen: set[str] = set()
        result = explore(
            *program(seed),
            setup=rows,
            invariant=lambda: seen.add(state()),
            reduced=reduced,
            max_schedules=MOST,
            max_seconds=600,
        )
        if not reduced and not result.complete:
            pytest.skip(f"it has more than {MOST} orders")
        assert result.complete, str(result)
        return seen | {finding.kind for finding in result.findings}, result.schedules

    everything, all_orders = outcomes(reduced=False)
    reduced, schedules = outcomes(reduced=True)
    assert reduced == everything
    assert schedules <= all_orders
