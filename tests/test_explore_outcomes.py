"""Lost updates: outcomes are compared by what they mean, not by what is drawn by chance or by a sequence."""

from __future__ import annotations

import itertools
import re
import secrets
import uuid
from typing import TYPE_CHECKING

import pytest
from django.db import connection, models, transaction
from django.utils import timezone
from interleaved import accounts, made, run
from orm.models import Account, Child, Parent, Tag

from django_lockstep.testing import explore

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterator

    from django_lockstep.testing import Exploration

pytestmark = pytest.mark.usefixtures("clean_orm")


def told(result: Exploration) -> list[tuple[str, str]]:
    return [(finding.kind, finding.about) for finding in result.findings]


def deposit(key: int = 1) -> None:
    account = Account.objects.get(pk=key)
    account.balance += 10
    account.save()


def order(name: str) -> Callable[[], None]:
    """Return what creates a parent with two children."""

    def create() -> None:
        parent = Parent.objects.create(number=len(name))
        Child.objects.create(parent=parent, value=1)
        Child.objects.create(parent=parent, value=2)

    return create


@pytest.fixture
def jobs() -> Iterator[None]:
    with made(
        "CREATE TABLE outcomes_job (id serial PRIMARY KEY, claimed_at timestamptz, claimed_by uuid, "
        "claims int DEFAULT 0)",
        "INSERT INTO outcomes_job DEFAULT VALUES",
        "INSERT INTO outcomes_job DEFAULT VALUES",
        dropped="DROP TABLE outcomes_job",
    ):
        yield


class Taken(Exception):
    """Nothing is left to be claimed."""


def claim(
    column: str, draw: Callable[[], datetime.datetime | uuid.UUID], *, careful: bool = False
) -> Callable[[], None]:
    """Return what claims the first job that nobody has claimed."""

    def claiming() -> None:
        with transaction.atomic():
            lock = "FOR UPDATE" if careful else ""
            if careful:
                run("LOCK TABLE outcomes_job IN EXCLUSIVE MODE")
            found = run(f"SELECT id FROM outcomes_job WHERE {column} IS NULL ORDER BY id LIMIT 1 {lock}")
            if not found:
                raise Taken
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE outcomes_job SET {column} = %s WHERE id = {found[0][0]}", [draw()])

    return claiming


def test_rows_that_refer_to_generated_keys_are_compared_by_what_they_refer_to() -> None:
    result = explore(order("a"), order("bc"))
    assert (told(result), result.complete) == ([], True), result.to_text()


def test_a_row_that_refers_to_the_wrong_one_is_found() -> None:
    """Each looks up its parent as the one with the highest number, which the other may just have made."""

    def create(name: str) -> Callable[[], None]:
        def creating() -> None:
            Parent.objects.create(number=len(name))
            Child.objects.create(parent=Parent.objects.order_by("-id")[0], value=len(name))

        return creating

    result = explore(create("a"), create("bc"))
    assert {kind for kind, _ in told(result)} == {"lost_update"}, result.to_text()
    assert [re.sub(r"\d", "…", about) for _, about in told(result)] == [
        "orm_child …: parent_id (…) goes with other rows than one after the other (and … more)"
    ]


@pytest.mark.parametrize("draw", [lambda: secrets.token_hex(8), lambda: uuid.uuid4().hex[:20]])
def test_a_text_that_is_drawn_by_chance_is_no_difference(draw: Callable[[], str]) -> None:
    def create() -> None:
        Tag.objects.create(name=draw())
        Account.objects.filter(pk=1).update(balance=models.F("balance") + 10)

    result = explore(create, create, setup=accounts)
    assert (told(result), result.complete) == ([], True), result.to_text()


def test_an_update_is_lost_beside_what_is_drawn_by_chance() -> None:
    def create() -> None:
        deposit()
        Tag.objects.create(name=secrets.token_hex(8))

    result = explore(create, create, setup=accounts)
    assert told(result) == [("lost_update", "orm_account 1: balance is 110; one after the other leaves 120")]


def test_what_is_lost_is_told_with_table_row_column_and_values() -> None:
    def both() -> None:
        deposit(1)
        deposit(2)

    (found,) = told(explore(deposit, deposit, setup=accounts))
    assert found == ("lost_update", "orm_account 1: balance is 110; one after the other leaves 120")
    lost = [about for _, about in told(explore(both, both, setup=accounts))]
    assert sorted(lost) == [
        "orm_account 1: balance is 110; one after the other leaves 120",
        "orm_account 1: balance is 110; one after the other leaves 120 (and 1 more)",
        "orm_account 2: balance is 110; one after the other leaves 120",
    ]


def test_rows_that_are_there_twice_are_told() -> None:
    def once() -> None:
        if not Parent.objects.filter(number=7).exists():
            Parent.objects.create(number=7)

    assert told(explore(once, once)) == [
        ("lost_update", "orm_parent: 2 rows (number = 7) are left; one after the other leaves 1")
    ]


def test_an_exception_that_no_serial_order_raises_is_no_lost_update_as_well() -> None:
    def make() -> None:
        if not Tag.objects.filter(name="a").exists():
            Tag.objects.create(name="a")

    def paid() -> None:
        with transaction.atomic():
            exists = Tag.objects.filter(name="a").exists()
            Account.objects.filter(pk=1).update(balance=models.F("balance") - 1)
            if not exists:
                Tag.objects.create(name="a")

    assert {kind for kind, _ in told(explore(make, make))} == {"exception"}
    assert {kind for kind, _ in told(explore(paid, paid, setup=accounts))} == {"exception"}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("column", "draw"), [("claimed_at", timezone.now), ("claimed_by", uuid.uuid4)])
def test_a_job_that_is_claimed_twice_is_found(
    column: str, draw: Callable[[], datetime.datetime | uuid.UUID]
) -> None:
    twice = claim(column, draw)
    found = told(explore(twice, twice))
    assert [kind for kind, _ in found] == ["lost_update"]
    assert re.match(rf"outcomes_job 2: {column} is NULL; one after the other leaves .*\d+", found[0][1])
    once = claim(column, draw, careful=True)
    result = explore(once, once)
    assert (told(result), result.complete) == ([], True), result.to_text()


@pytest.mark.usefixtures("jobs")
def test_the_only_job_is_claimed_twice_where_the_second_should_have_been_refused() -> None:
    run("DELETE FROM outcomes_job WHERE id = 2")
    twice = claim("claimed_at", timezone.now)
    lost = [about for kind, about in told(explore(twice, twice)) if kind == "lost_update"]
    assert lost in [[f"{name} raises nothing; one after the other it raises Taken"] for name in "AB"]


@pytest.mark.usefixtures("jobs")
def test_one_worker_with_two_jobs_is_told_from_two_workers_with_one_each() -> None:
    """The number that a worker draws is another one in each run; that both jobs have the same one is not."""

    def work() -> None:
        worker = uuid.uuid4()
        for key in (1, 2):
            with connection.cursor() as cursor:
                cursor.execute("UPDATE outcomes_job SET claimed_by = %s WHERE id = %s", [worker, key])

    result = explore(work, work)
    assert {kind for kind, _ in told(result)} == {"lost_update"}, result.to_text()
    assert all(
        re.search(r"outcomes_job 1: claimed_by \(.*\) goes with other rows than one after", about)
        for _, about in told(result)
    )


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("pace", [1, 2, 5, 13])
def test_a_clock_is_no_difference_however_seldom_it_moves(pace: int) -> None:
    """A clock of whole seconds, for one, stands still between most runs; the first schedules were in another second."""
    ticks = itertools.count()

    def touch() -> None:
        run(
            "UPDATE outcomes_job SET claimed_at = to_timestamp(%s), claims = claims + 1 WHERE id = 1",
            next(ticks) // pace,
        )

    result = explore(touch, touch, touch)
    assert (told(result), result.complete) == ([], True), result.to_text()


def test_what_the_setup_draws_by_chance_is_no_difference() -> None:
    with made(
        "CREATE TABLE outcomes_owner (id uuid PRIMARY KEY, name text, at timestamptz DEFAULT clock_timestamp())",
        "CREATE TABLE outcomes_thing (id serial PRIMARY KEY, owner_id uuid REFERENCES outcomes_owner, n int)",
        dropped="DROP TABLE outcomes_thing, outcomes_owner",
    ):

        def setup() -> None:
            run("INSERT INTO outcomes_owner VALUES (gen_random_uuid(), 'Ada'), (gen_random_uuid(), 'Bob')")

        def give(name: str) -> Callable[[], None]:
            def giving() -> None:
                run(
                    "INSERT INTO outcomes_thing (owner_id, n) SELECT id, 1 FROM outcomes_owner WHERE name = %s",
                    name,
                )
                run("UPDATE outcomes_owner SET name = name || '!' WHERE name = %s", name)

            return giving

        result = explore(give("Ada"), give("Bob"), setup=setup)
        assert (told(result), result.complete) == ([], True), result.to_text()


def test_random_schedules_are_judged_alike() -> None:
    def create() -> None:
        order("a")()
        deposit()

    result = explore(create, create, setup=accounts, seed=1, max_schedules=40)
    assert told(result) == [("lost_update", "orm_account 1: balance is 110; one after the other leaves 120")]
    again = explore(create, create, setup=accounts, only=result.findings[0].schedule)
    assert told(again) == told(result)
