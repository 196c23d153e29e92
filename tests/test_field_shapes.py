"""Deadlocks that Django projects have met, in the ORM and run together; the numbers are those of the catalogue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, models, transaction
from orm.models import Account, Child, Group, Note, Parent, Person, Tag
from witness import RUNS

from django_lockstep.testing import Ensemble, run_together
from django_lockstep.testing.guards import dsn_of_free_alias

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report

Shape = tuple["Callable[[], object]", "Callable[[], object]"]


pytestmark = pytest.mark.usefixtures("clean_orm")


def rows() -> None:
    """What every shape finds at its start."""
    for model in (Child, Parent, Tag, Account):
        model.objects.all().delete()
    Person.groups.through.objects.all().delete()
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    Parent.objects.bulk_create([Parent(pk=1), Parent(pk=2)])
    Child.objects.bulk_create([Child(pk=10**9 + pk, parent_id=pk) for pk in (1, 2)])
    Tag.objects.bulk_create([Tag(name=f"old {key}") for key in (1, 2)])
    Person.objects.get_or_create(pk=1)
    for pk in (1, 2):
        Group.objects.get_or_create(pk=pk)


def in_this_order(act: Callable[[int], object], *keys: int) -> Callable[[], None]:
    def acting() -> None:
        with transaction.atomic():
            for key in keys:
                act(key)

    return acting


def opposite(act: Callable[[int], object]) -> Shape:
    return in_this_order(act, 1, 2), in_this_order(act, 2, 1)


def bulk_updated(*keys: int) -> None:
    Account.objects.bulk_update([Account(pk=key, balance=key) for key in keys], ["balance"], batch_size=1)


def parent_then_child(locked: int, referred: int, no_key: bool = False) -> None:
    with transaction.atomic():
        Parent.objects.select_for_update(no_key=no_key).get(pk=locked)
        Child.objects.create(parent_id=referred)


def parent_deleted() -> None:
    Parent(pk=1).delete()


def children_updated() -> None:
    with transaction.atomic():
        Parent.objects.select_for_update().get(pk=1)
        Child.objects.filter(parent=1).update(value=1)


ADVICE = {
    "S1 ": "change the rows in one order everywhere",
    "S1b": "objects and batches of bulk_update()",
    "S4 ": "select_for_update(no_key=True)",
    "S6 ": "get_or_create()",
    "S7 ": "bulk_create() with ignore_conflicts as well",
    "S8 ": "add() of a many-to-many relation",
    "S9 ": "change the rows in one order everywhere",
    "S10": "lock the parent's row first",
}
"""What the explanation says to do about each, among other things."""

SHAPES: dict[str, Shape] = {
    "S1 update in opposite orders": opposite(lambda key: Account.objects.filter(pk=key).update(balance=key)),
    "S1b bulk_update of the reversed list": (partial(bulk_updated, 1, 2), partial(bulk_updated, 2, 1)),
    "S4 deferred foreign key at COMMIT": (partial(parent_then_child, 1, 2), partial(parent_then_child, 2, 1)),
    "S6 get_or_create": opposite(lambda key: Tag.objects.get_or_create(name=f"new {key}")),
    "S7 ignore_conflicts": opposite(
        lambda key: Tag.objects.bulk_create([Tag(name=f"new {key}")], ignore_conflicts=True)
    ),
    "S8 many-to-many": opposite(lambda key: Person(pk=1).groups.add(key)),
    "S9 counters with F()": opposite(
        lambda key: Tag.objects.filter(name=f"old {key}").update(count=models.F("count") + 1)
    ),
    "S10 cascading delete": (parent_deleted, children_updated),
}


def repeated(shape: Shape, judge: Callable[[Report], Any]) -> None:
    with Ensemble(["A", "B"], dsn_of_free_alias("default", "this test"), "default", 30.0) as ensemble:
        for _ in range(RUNS):
            rows()
            judge(ensemble.run(shape))


@pytest.mark.parametrize("name", SHAPES)
def test_it_deadlocks_every_time(name: str) -> None:
    def judge(report: Report) -> None:
        assert report.deadlocked, report.to_text(2)
        assert len(report.victims) == 1
        survivor = next(session for session in report.sessions if session.name not in report.victims)
        assert survivor.outcome == "committed"
        assert ADVICE[name[:3]] in report.explanation
        assert not any("stalled" in note for note in report.notes), report.notes

    repeated(SHAPES[name], judge)


def test_s4_is_aborted_by_its_commit() -> None:
    rows()
    report = run_together(*SHAPES["S4 deferred foreign key at COMMIT"])
    waits = [event.step for event in report.events if event.kind == "waiting"]
    assert waits == ["COMMIT", "COMMIT"]
    assert [event.step for event in report.events if event.sqlstate] == ["COMMIT"]


def test_s4_with_no_key_does_not_deadlock() -> None:
    rows()
    report = run_together(
        partial(parent_then_child, 1, 2, no_key=True), partial(parent_then_child, 2, 1, no_key=True)
    )
    assert report.outcome == "no_conflict", report.to_text(2)


def test_s18_a_retry_in_a_nested_atomic_meets_the_deadlock_again() -> None:
    def nested() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=0)
            for attempt in range(3):
                try:
                    with transaction.atomic():
                        Account.objects.filter(pk=2).update(balance=0)
                    return
                except OperationalError:
                    if attempt == 2:
                        raise

    other = in_this_order(lambda key: Account.objects.filter(pk=key).update(balance=1), 2, 1)

    def judge(report: Report) -> None:
        aborted = [event.session for event in report.events if event.sqlstate == "40P01"]
        assert aborted == ["A", "A", "A"], report.to_text(2)
        assert [session.outcome for session in report.sessions] == ["deadlock_victim", "committed"]

    repeated((nested, other), judge)


def test_two_functions_of_a_project_that_we_did_not_write() -> None:
    """django-taggit makes the tags that it does not find, one after the other, whoever else is making them."""
    first, second = Note.objects.create(), Note.objects.create()

    def adds() -> None:
        with transaction.atomic():
            first.tags.add("red")
            first.tags.add("green")

    def sets() -> None:
        with transaction.atomic():
            second.tags.set(["green"])
            second.tags.add("red")

    report = run_together(adds, sets)
    assert report.deadlocked, report.to_text(2)
    waits = [event for event in report.events if event.kind == "waiting"]
    assert {event.step for event in waits} == {"INSERT taggit_tag"}
    assert all("taggit" in str(event.source) for event in waits)
