"""``assert_deadlocks``, ``assert_no_deadlock``, the mixin, the fixture; and what their failures say."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from orm.models import Account

from django_lockstep.testing import LockstepMixin, assert_deadlocks, assert_no_deadlock, run_together

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("clean_orm")


def accounts() -> None:
    Account.objects.all().delete()
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])


def locks(*keys: int) -> None:
    with transaction.atomic():
        for key in keys:
            Account.objects.select_for_update().get(pk=key)


def forth() -> None:
    locks(1, 2)


def back() -> None:
    locks(2, 1)


def test_a_deadlock_is_asserted_and_its_report_returned() -> None:
    report = assert_deadlocks(forth, back, setup=accounts)
    assert report.deadlocked
    assert sorted(session.outcome for session in report.sessions) == ["committed", "deadlock_victim"]


def test_without_a_deadlock_the_failure_shows_the_timeline() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_deadlocks(forth, partial(locks, 1), setup=accounts)
    text = str(failed.value)
    assert text == "No deadlock in 4 schedules, all that can differ."
    with pytest.raises(AssertionError, match="No deadlock in 1 schedule, not all: one was asked for"):
        assert_deadlocks(forth, back, setup=accounts, order="A A A B")


def test_without_a_deadlock_the_failure_shows_what_was_found_instead() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_deadlocks(forth, partial(locks, 3), setup=accounts)
    text = str(failed.value)
    assert text.startswith(
        "No deadlock in 1 schedule, all that can differ.\n\nexception: locks raised DoesNotExist"
    )
    assert "SELECT FOR UPDATE orm_account" in text
    assert isinstance(failed.value.__cause__, Account.DoesNotExist)


def test_no_deadlock_is_asserted_in_every_schedule() -> None:
    explored = assert_no_deadlock(forth, forth, setup=accounts)
    assert (explored.findings, explored.complete, explored.contended) == ((), True, True)
    assert explored.extent == "4 schedules, all that can differ"
    assert explored.verdict.startswith("NO DEADLOCK FOUND in 4 schedules, all that can differ (")
    assert explored.only_deadlocks
    assert "no lost updates" in explored.notes[0]


def test_no_deadlock_in_a_given_order_says_that_it_is_one() -> None:
    explored = assert_no_deadlock(forth, forth, setup=accounts, order="A B A A")
    assert (explored.complete, explored.stopped) == (False, "only")


def test_a_deadlock_fails_it_and_is_shown() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_no_deadlock(forth, back, setup=accounts)
    text = str(failed.value)
    assert re.match(
        r"A deadlock in schedule \d+\.\n\ndeadlock: the cycle forth → back → forth \(seen in 1 sch", text
    )
    replay = re.search(r'\nto replay it, add to the call:\norder="([AB ]+)"\n', text)
    assert replay is not None
    accounts()
    assert run_together(forth, back, order=replay[1]).deadlocked
    assert assert_deadlocks(forth, back, setup=accounts, order=replay[1]).deadlocked
    assert "DEADLOCK after" in text
    assert "test_assertions.py" in text
    assert type(failed.value.__cause__).__name__ == "OperationalError"


def test_without_contention_it_fails() -> None:
    with pytest.raises(AssertionError, match="never contended") as failed:
        assert_no_deadlock(partial(locks, 1), partial(locks, 2), setup=accounts)
    assert "could not fail" in str(failed.value)
    assert "atomic() missing" not in str(failed.value)


def test_without_contention_for_want_of_a_transaction_it_says_so() -> None:
    def deposit() -> None:
        account = Account.objects.get(pk=1)
        account.balance += 10
        account.save()

    with pytest.raises(
        AssertionError, match=r"never contended .* outside atomic\(\).* is atomic\(\) missing\?"
    ):
        assert_no_deadlock(deposit, deposit, setup=accounts)
    with pytest.raises(AssertionError, match=r"is atomic\(\) missing\?"):
        assert_no_deadlock(deposit, deposit, setup=accounts, order="A B A B")


def test_what_a_callable_raises_fails_it_and_is_its_cause() -> None:
    with pytest.raises(AssertionError, match="did not get through in 1 of 1 schedule, all that") as failed:
        assert_no_deadlock(forth, partial(locks, 3), setup=accounts)
    assert isinstance(failed.value.__cause__, Account.DoesNotExist)


def test_a_limit_that_ends_the_search_fails_it() -> None:
    with pytest.raises(
        AssertionError, match=r"proves nothing: 3 schedules, not all: max_schedules was reached\. Give more"
    ):
        assert_no_deadlock(forth, forth, setup=accounts, max_schedules=3)
    with pytest.raises(AssertionError, match=r"max_seconds was reached\. Give more \(max_seconds=…\)"):
        assert_no_deadlock(forth, forth, setup=accounts, max_seconds=0)
    assert assert_no_deadlock(
        forth, forth, setup=accounts, max_seconds=math.inf, max_schedules=math.inf
    ).complete


def test_a_bound_on_preemptions_is_what_was_asked_for_and_is_told() -> None:
    explored = assert_no_deadlock(forth, forth, partial(locks, 1), setup=accounts, preemptions=1)
    assert (explored.complete, explored.stopped) == (False, "preemptions")
    assert "not all: others have more preemptions" in explored.extent


def test_the_mixin_has_them() -> None:
    case = LockstepMixin()
    assert case.assertDeadlocks(forth, back, setup=accounts).deadlocked
    with pytest.raises(AssertionError, match="A deadlock"):
        case.assertNoDeadlock(forth, back, setup=accounts)
    assert case.explore(forth, back, setup=accounts, invariant=lambda: True).deadlocks


def test_it_asserts_the_same_every_time() -> None:
    for _ in range(20):
        assert assert_deadlocks(forth, back, setup=accounts).victims == ("forth",)
        assert assert_no_deadlock(forth, forth, setup=accounts).schedules == 4


def test_the_pytest_fixture(orm: str, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(
        textwrap.dedent(f"""
        from psycopg.conninfo import conninfo_to_dict
        parts = conninfo_to_dict({orm!r})
        DATABASES = {{"default": {{
            "ENGINE": "django.db.backends.postgresql", "NAME": "plugin", "USER": parts.get("user", ""),
            "PASSWORD": parts.get("password", ""), "HOST": parts.get("host", ""), "PORT": parts.get("port", ""),
        }}}}
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        """)
    )
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
        import pytest
        from django.contrib.auth.models import Group
        from django.db import transaction
        from django_lockstep.exceptions import Refused

        def groups():
            Group.objects.all().delete()
            for pk in (1, 2):
                Group.objects.create(pk=pk, name=str(pk))

        def locks(*keys):
            def locking():
                with transaction.atomic():
                    for key in keys:
                        Group.objects.select_for_update().get(pk=key)
            return locking

        @pytest.mark.django_db(transaction=True)
        @pytest.mark.parametrize("turn", range(3))
        def test_deadlocks(lockstep, turn):
            lockstep.assert_deadlocks(locks(1, 2), locks(2, 1), setup=groups)
            lockstep.assert_no_deadlock(locks(1, 2), locks(1, 2), setup=groups)
            assert not lockstep.explore(locks(1), locks(2), setup=groups).findings
            groups()
            assert lockstep.run_together(locks(1), locks(2)).outcome == "no_conflict"

        @pytest.mark.django_db
        def test_refuses(lockstep):
            with pytest.raises(Refused, match="TransactionTestCase"):
                lockstep.run_together(locks(1), locks(2))
        """)
    )

    def ran(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-m", "pytest", "-q", "--ds=settings", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,  # for a defect; a busy machine took two minutes
        )

    for options in ((), ("-n", "2")):
        done = ran(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 passed" in done.stdout
    stopped = ran("--lockstep-max-schedules=1", "-k", "test_deadlocks and 0")
    assert stopped.returncode == 1
    assert "No deadlock in 1 schedule, not all: max_schedules was reached" in stopped.stdout
    assert ran("--lockstep-max-schedules=0").returncode == 4
