"""What locks do not tell, or tell too late: the reduced search still comes to all that every order comes to."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, OperationalError, transaction
from interleaved import accounts, made, run, same_as_all, steps
from orm.models import Account, Tag

from django_lockstep.testing import assert_no_deadlock, explore

pytestmark = pytest.mark.usefixtures("clean_orm")


def tagged() -> None:
    accounts()
    Tag.objects.create(pk=1, name="a")
    Tag.objects.create(pk=2, name="b")


TAGS = "SELECT id, name, count FROM orm_tag ORDER BY id"


def test_an_insert_waits_for_an_update_of_the_row_whose_key_it_has() -> None:
    """It has to see whether the row stays, although the key is not what is changed (``_bt_check_unique``)."""

    def inserts() -> None:
        with transaction.atomic():
            Tag.objects.filter(pk=1).update(count=6)
            Account.objects.bulk_create([Account(pk=1)], ignore_conflicts=True)

    def updates() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=50)
            Tag.objects.filter(pk=1).update(count=5)

    result = same_as_all(inserts, updates, what=TAGS, setup=tagged)
    assert {finding.kind for finding in result.findings} == {"deadlock"}
    replayed = explore(inserts, updates, setup=tagged, only=result.deadlocks[0].schedule)
    assert replayed.deadlocks
    with pytest.raises(AssertionError, match="deadlock"):
        assert_no_deadlock(inserts, updates, setup=tagged)


def test_a_refused_insert_that_is_caught_has_waited_for_an_update() -> None:
    def inserts() -> None:
        with transaction.atomic():
            try:
                with transaction.atomic():
                    Account.objects.create(pk=1)
            except IntegrityError:
                Tag.objects.filter(pk=1).update(count=Account.objects.get(pk=1).balance)

    def updates() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=1).update(balance=50)

    same_as_all(inserts, updates, what=TAGS, setup=tagged)


def test_a_function_that_catches_what_it_waited_for() -> None:
    """The locks of its inner block are gone before anybody can ask."""
    with made(
        "CREATE FUNCTION claim(who text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO orm_tag (id, name, count) VALUES (7, who, 0); RETURN true; "
        "EXCEPTION WHEN unique_violation THEN RETURN false; END $$",
        dropped="DROP FUNCTION claim",
    ):
        same_as_all(steps("SELECT claim('x')"), steps("SELECT claim('y')"), what=TAGS, setup=tagged)


def test_a_trigger_that_catches_what_it_waited_for() -> None:
    with made(
        "CREATE FUNCTION claiming() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "BEGIN INSERT INTO orm_tag (id, name, count) VALUES (7, NEW.id::text, 0); "
        "EXCEPTION WHEN unique_violation THEN NULL; END; RETURN NEW; END $$",
        "CREATE TRIGGER claims AFTER UPDATE ON orm_account FOR EACH ROW EXECUTE FUNCTION claiming()",
        dropped="DROP FUNCTION claiming CASCADE",
    ):
        first, second = (steps(f"UPDATE orm_account SET balance = 1 WHERE id = {key}") for key in (1, 2))
        same_as_all(first, second, what=TAGS, setup=tagged)


@pytest.mark.parametrize(
    "trying", ["SELECT -- whether it is ours\n pg_try_advisory_xact_lock(1)", "SELECT tries_lock(1)"]
)
def test_a_lock_that_is_tried_behind_a_comment_or_in_a_function(trying: str) -> None:
    def tries(key: int) -> None:
        with transaction.atomic():
            if run(trying)[0][0]:
                Tag.objects.filter(pk=key).update(count=1)

    with made(
        "CREATE FUNCTION tries_lock(key int) RETURNS boolean LANGUAGE sql AS 'SELECT pg_try_advisory_xact_lock(key)'",
        dropped="DROP FUNCTION tries_lock",
    ):
        same_as_all(lambda: tries(1), lambda: tries(2), what=TAGS, setup=tagged)


@pytest.mark.parametrize("rolls_back", [False, True])
def test_a_sequence_that_is_read(rolls_back: bool) -> None:
    """What was drawn from it is seen at once."""

    def draws() -> None:
        with transaction.atomic():
            run("SELECT nextval('drawn')")
            transaction.set_rollback(rolls_back)

    def reads() -> None:
        with transaction.atomic():
            ((last,),) = run("SELECT last_value FROM drawn")
            assert isinstance(last, int)
            Tag.objects.filter(pk=1).update(count=last)

    def setup() -> None:
        tagged()
        run("SELECT nextval('drawn')")

    with made("CREATE SEQUENCE drawn", dropped="DROP SEQUENCE drawn"):
        same_as_all(draws, reads, what=TAGS, setup=setup)


def test_statements_of_which_the_second_finds_nothing_meet() -> None:
    """Each locks several rows when it is first, and none when it is not."""

    def adds(*names: str) -> None:
        Tag.objects.bulk_create([Tag(name=name) for name in names], ignore_conflicts=True)

    assert explore(lambda: adds("x", "y", "z"), lambda: adds("z", "y", "x")).deadlocks

    def claims(order: str) -> None:
        with transaction.atomic():
            for tag in Tag.objects.filter(count=0).order_by(order).select_for_update():
                tag.count = 1
                tag.save()

    assert explore(lambda: claims("pk"), lambda: claims("-pk"), setup=tagged).deadlocks


def test_a_serialization_failure_that_is_caught_is_one_all_the_same() -> None:
    def change() -> None:
        try:
            with transaction.atomic():
                run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                account = Account.objects.get(pk=1)
                account.balance += 1
                account.save()
        except OperationalError:
            return

    result = explore(change, change, setup=accounts)
    assert {finding.kind for finding in result.findings} == {"serialization_failure"}
