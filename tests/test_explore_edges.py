"""What a search must bear: triggers, views, keys of every kind, tables without one, code and people that break off."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, connections, models, transaction
from interleaved import accounts, made, run, same_as_all, steps
from orm.models import Account, Child, Parent, Tag

from django_lockstep.testing import explore
from django_lockstep.testing.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("clean_orm")


def test_a_trigger_that_writes_elsewhere_is_seen() -> None:
    """The two change different rows; it is the trigger's row that they meet at."""
    with made(
        "CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE orm_parent SET number = number * 2 + NEW.balance WHERE id = 1; RETURN NEW; END $$",
        "CREATE TRIGGER counting AFTER UPDATE ON orm_account FOR EACH ROW EXECUTE FUNCTION count_it()",
        dropped="DROP FUNCTION count_it CASCADE",
    ):

        def setup() -> None:
            accounts()
            Parent.objects.create(pk=1)

        def change(key: int) -> Callable[[], None]:
            def changing() -> None:
                with transaction.atomic():
                    Account.objects.filter(pk=key).update(balance=key)

            return changing

        result = same_as_all(change(1), change(2), what="SELECT number FROM orm_parent", setup=setup)
        assert result.contended


def test_a_trigger_on_the_table_that_a_trigger_writes_is_seen_from_both_ends() -> None:
    with made(
        "CREATE FUNCTION copy_it() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE orm_tag SET count = NEW.balance WHERE id = 1; RETURN NEW; END $$",
        "CREATE TRIGGER copying BEFORE UPDATE ON orm_account FOR EACH ROW EXECUTE FUNCTION copy_it()",
        dropped="DROP FUNCTION copy_it CASCADE",
    ):

        def setup() -> None:
            accounts()
            Tag.objects.create(pk=1, name="a")

        def by_trigger() -> None:
            with transaction.atomic():
                Account.objects.filter(pk=1).update(balance=7)
                Account.objects.filter(pk=2).update(balance=8)

        def by_hand() -> None:
            with transaction.atomic():
                list(Account.objects.select_for_update().filter(pk=2))
                Tag.objects.filter(pk=1).update(count=9)

        result = same_as_all(by_trigger, by_hand, what="SELECT id, count FROM orm_tag", setup=setup)
        assert {finding.kind for finding in result.findings} == {"deadlock"}


def test_a_trigger_that_waits_until_commit_is_taken_for_the_worst() -> None:
    with made(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE orm_parent SET number = number * 2 + NEW.balance WHERE id = 1; RETURN NEW; END $$",
        "CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON orm_account DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION late()",
        dropped="DROP FUNCTION late CASCADE",
    ):

        def setup() -> None:
            accounts()
            Parent.objects.create(pk=1)

        def change(key: int) -> Callable[[], None]:
            def changing() -> None:
                with transaction.atomic():
                    Account.objects.filter(pk=key).update(balance=key)

            return changing

        same_as_all(change(1), change(2), what="SELECT number FROM orm_parent", setup=setup)


def test_an_updatable_view_is_its_table() -> None:
    with made("CREATE VIEW rich AS SELECT * FROM orm_account", dropped="DROP VIEW rich"):
        result = same_as_all(
            steps(
                "UPDATE rich SET balance = 1 WHERE id = 1", "UPDATE orm_account SET balance = 2 WHERE id = 2"
            ),
            steps(
                "UPDATE orm_account SET balance = 3 WHERE id = 2", "UPDATE rich SET balance = 4 WHERE id = 1"
            ),
            what="SELECT id, balance FROM orm_account ORDER BY id",
            setup=accounts,
        )
    assert {finding.kind for finding in result.findings} == {"deadlock"}


def test_a_foreign_key_that_is_checked_at_once() -> None:
    """S3 of the catalogue: both insert a child, and then want its parent."""
    with made(
        "CREATE TABLE boss (id int PRIMARY KEY, n int)",
        "CREATE TABLE worker (id serial PRIMARY KEY, boss_id int REFERENCES boss ON DELETE CASCADE)",
        "INSERT INTO boss VALUES (1, 0)",
        "INSERT INTO worker (boss_id) VALUES (1)",
        dropped="DROP TABLE worker, boss",
    ):
        hire = steps("INSERT INTO worker (boss_id) VALUES (1)", "SELECT n FROM boss WHERE id = 1 FOR UPDATE")
        result = same_as_all(
            hire, hire, what="SELECT n, (SELECT count(*) FROM worker), (SELECT max(id) FROM worker) FROM boss"
        )
    assert {finding.kind for finding in result.findings} == {"deadlock"}


def test_a_table_without_a_key_in_another_schema() -> None:
    with made(
        'CREATE SCHEMA "Odd one"',
        'CREATE TABLE "Odd one"."log" (line text, at timestamptz DEFAULT now())',
        """INSERT INTO "Odd one"."log" VALUES ('it''s {0} 100%%')""",
        dropped='DROP SCHEMA "Odd one" CASCADE',
    ):
        write = steps("""UPDATE "Odd one"."log" SET line = line || '+'""")
        result = same_as_all(write, write, what='SELECT line FROM "Odd one"."log"')
        assert result.findings == ()
        before = run('SELECT line FROM "Odd one"."log"')
        assert explore(write, write).findings == (), "no invariant's code is between"
        assert run('SELECT line FROM "Odd one"."log"') == before


def test_a_foreign_key_that_is_checked_at_commit() -> None:
    """S4 of the catalogue."""

    def family() -> None:
        Parent.objects.bulk_create([Parent(pk=1), Parent(pk=2)])

    def adopt(held: int, other: int) -> Callable[[], None]:
        def adopting() -> None:
            with transaction.atomic():
                list(Parent.objects.select_for_update().filter(pk=held))
                Child.objects.create(parent_id=other)

        return adopting

    result = same_as_all(
        adopt(1, 2), adopt(2, 1), what="SELECT parent_id FROM orm_child ORDER BY 1", setup=family
    )
    assert {finding.kind for finding in result.findings} == {"deadlock"}
    sessions = result.deadlocks[0].report.sessions
    refused = [statement for session in sessions for statement in session.statements if statement.sqlstate]
    assert [statement.step for statement in refused] == ["COMMIT"]


def test_another_table_of_the_same_name_after_the_code_has_changed_its_path() -> None:
    with made(
        "CREATE SCHEMA tenant",
        "CREATE TABLE tenant.orm_account (LIKE public.orm_account INCLUDING ALL)",
        "INSERT INTO tenant.orm_account VALUES (1, 100)",
        dropped="DROP SCHEMA tenant CASCADE",
    ):

        def deposit() -> None:
            run("SET search_path TO tenant")
            account = Account.objects.get(pk=1)
            account.balance += 10
            account.save()

        result = same_as_all(deposit, deposit, what="SELECT balance FROM tenant.orm_account")
    assert "lost_update" in {finding.kind for finding in result.findings}


def test_a_session_on_several_aliases() -> None:
    def deposit() -> None:
        account = Account.objects.using("other").get(pk=1)
        with transaction.atomic():
            Account.objects.filter(pk=2).update(balance=account.balance)
        account.balance += 10
        account.save()

    result = same_as_all(
        deposit, deposit, what="SELECT id, balance FROM orm_account ORDER BY id", setup=accounts
    )
    assert "lost_update" in {finding.kind for finding in result.findings}


def test_a_ring_of_three() -> None:
    def locks(*keys: int) -> Callable[[], None]:
        def lock() -> None:
            with transaction.atomic():
                for key in keys:
                    Account.objects.select_for_update().get(pk=key)

        return lock

    ring = [locks(1, 2), locks(2, 3), locks(3, 1)]
    for two in (ring[:2], ring[1:]):
        assert explore(*two, setup=accounts).findings == ()
    result = explore(*ring, setup=accounts)
    assert result.complete
    assert {finding.kind for finding in result.findings} == {"deadlock"}
    assert any(len(set(finding.report.cycle)) == 3 for finding in result.deadlocks)


def test_a_setup_that_fails_is_raised_and_all_is_put_back() -> None:
    Tag.objects.create(pk=1, name="kept")
    calls: list[int] = []

    def setup() -> None:
        calls.append(1)
        accounts()
        if len(calls) == 2:
            raise RuntimeError("no more accounts")

    def spoil() -> None:
        Tag.objects.all().delete()

    with pytest.raises(RuntimeError, match="no more accounts"):
        explore(spoil, spoil, setup=setup)
    assert list(Tag.objects.values_list("name", flat=True)) == ["kept"]
    assert not Account.objects.exists()


def test_ctrl_c_while_the_sessions_connect_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(State, "__init__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        explore(accounts, accounts)


def test_ctrl_c_ends_it_and_all_is_put_back() -> None:
    def interrupt() -> None:
        Account.objects.filter(pk=1).delete()
        os.kill(os.getpid(), signal.SIGINT)
        Account.objects.count()

    Account.objects.create(pk=1)
    with pytest.raises(KeyboardInterrupt):
        explore(interrupt, lambda: Account.objects.update(balance=2))
    assert [account.balance for account in Account.objects.all()] == [100]


def test_a_callable_that_hangs_is_told_and_keeps_it_from_being_complete() -> None:
    import threading

    over = threading.Event()

    def hang() -> None:
        Account.objects.filter(pk=1).update(balance=models.F("balance") + 1)
        over.wait(30)

    try:
        result = explore(hang, lambda: Account.objects.count(), setup=accounts, timeout=0.5, max_schedules=2)
    finally:
        over.set()
    assert (result.complete, result.stopped) == (False, "hang")
    assert {finding.kind for finding in result.findings} == {"hang"}
    connections.close_all()


@pytest.mark.parametrize("limit", ["nowait", "lock_timeout"])
def test_a_lock_that_is_not_to_be_had_is_an_exception_of_the_code(limit: str) -> None:
    class BusyError(Exception):
        """What the user's own code makes of 55P03."""

    def book() -> None:
        try:
            with transaction.atomic():
                if limit == "lock_timeout":
                    run("SET LOCAL lock_timeout = '1ms'")
                account = Account.objects.select_for_update(nowait=limit == "nowait").get(pk=1)
                account.save()
        except OperationalError as error:
            raise BusyError from error

    result = explore(book, book, setup=accounts)
    found = {(finding.kind, finding.about.split(" (")[0]) for finding in result.findings}
    raised = {("exception", "A raised BusyError"), ("exception", "B raised BusyError")}
    assert found & raised, result.to_text()
    assert {kind for kind, _ in found} == {"exception"}, result.to_text()
