"""Faults of published packages, found in the releases that are installed."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from orm.models import Note, Ranked

from django_lockstep.testing import Exploration, explore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def kinds(result: Exploration) -> set[str]:
    return {finding.kind for finding in result.findings}


def ranks() -> None:
    Ranked.objects.bulk_create([Ranked(pk=1), Ranked(pk=2), Ranked(pk=3)])


def in_order() -> None:
    held = sorted(Ranked.objects.values_list("order", flat=True))
    assert held == [0, 1, 2], f"the positions are {held}"


def moved(key: int, way: str, *, atomic: bool) -> Callable[[], None]:
    def move() -> None:
        if atomic:
            with transaction.atomic():
                getattr(Ranked.objects.get(pk=key), way)()
        else:
            getattr(Ranked.objects.get(pk=key), way)()

    return move


def test_ordered_model_loses_a_position_when_neighbours_are_moved() -> None:
    """Seen in 3.7.4; https://github.com/django-ordered-model/django-ordered-model/issues/184."""
    release = version("django-ordered-model")
    result = explore(
        moved(1, "down", atomic=False), moved(3, "up", atomic=False), setup=ranks, invariant=in_order
    )
    assert result.complete
    assert "violation" in kinds(result), f"{release} shows it no more: {result}"
    assert any("the positions are" in finding.about for finding in result.violations)


def test_ordered_model_deadlocks_when_neighbours_are_moved_in_transactions() -> None:
    """Seen in 3.7.4: ``swap`` saves its own row, and then its neighbour's. ATOMIC_REQUESTS makes such transactions."""
    release = version("django-ordered-model")
    result = explore(moved(1, "down", atomic=True), moved(2, "up", atomic=True), setup=ranks)
    assert result.complete
    assert "deadlock" in kinds(result), f"{release} shows it no more: {result}"
    again = explore(
        moved(1, "down", atomic=True),
        moved(2, "up", atomic=True),
        setup=ranks,
        only=result.deadlocks[0].schedule,
    )
    assert kinds(again) == {"deadlock"}


def test_taggit_deadlocks_when_new_tags_are_added_in_opposite_orders() -> None:
    """Seen in 6.1.0: ``add`` makes the tags as they come, each with a unique name."""
    release = version("django-taggit")

    def notes() -> None:
        Note.objects.bulk_create([Note(pk=1), Note(pk=2)])

    def tagged(key: int, *names: str) -> Callable[[], None]:
        def tag() -> None:
            with transaction.atomic():
                Note.objects.get(pk=key).tags.add(*names)

        return tag

    result = explore(tagged(1, "new", "hot"), tagged(2, "hot", "new"), setup=notes, max_seconds=300)
    assert "deadlock" in kinds(result), f"{release} shows it no more: {result}"
