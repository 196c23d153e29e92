"""On a real server, too, the reduced search comes to every outcome that all orders come to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from django.db import models, transaction
from orm.models import Account, Tag

from django_lockstep.testing import explore

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.usefixtures("clean_orm")


def rows() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    Tag.objects.bulk_create([Tag(pk=1, name="a"), Tag(pk=2, name="b")])


def step(chance: random.Random, mark: int) -> Callable[[], Any]:
    model, key, other = chance.choice([Account, Tag]), chance.choice([1, 2]), chance.choice([1, 2])
    field = "balance" if model is Account else "count"
    own = model.objects.filter(pk=key)

    def copy() -> None:
        value = Account.objects.get(pk=other).balance
        own.update(**{field: value * 3 + mark})

    return chance.choice(
        [
            lambda: list(own.select_for_update()),
            lambda: list(own.select_for_update(no_key=True)),
            lambda: own.update(**{field: models.F(field) * 2 + mark}),
            copy,
        ]
    )


def program(seed: int) -> list[Callable[[], None]]:
    chance = random.Random(seed)

    def session(mark: int) -> Callable[[], None]:
        steps = [step(chance, mark) for _ in range(2)]

        def run() -> None:
            with transaction.atomic():
                for take in steps:
                    take()

        return run

    return [session(1), session(2)]


@pytest.mark.parametrize("seed", range(10))
def test_the_reduced_search_comes_to_every_outcome(seed: int) -> None:
    def outcomes(*, reduced: bool) -> tuple[set[str], int]:
        seen: set[str] = set()

        def note() -> None:
            accounts = list(Account.objects.order_by("pk").values_list("pk", "balance"))
            seen.add(f"{accounts} {list(Tag.objects.order_by('pk').values_list('pk', 'count'))}")

        result = explore(*program(seed), setup=rows, invariant=note, reduced=reduced)
        assert result.complete
        return seen | {
            finding.kind for finding in result.findings if finding.kind != "lost_update"
        }, result.schedules

    everything, all_orders = outcomes(reduced=False)
    reduced, schedules = outcomes(reduced=True)
    assert reduced == everything
    assert schedules <= all_orders
