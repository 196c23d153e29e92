"""The three mistakes that how-tos on deadlocks make with ``multiprocessing``, and what to write instead."""

from __future__ import annotations

import pytest
from django.db import transaction
from forking import DRIVERS, forking
from orm.models import Account

from django_lockstep.testing import run_together

pytestmark = pytest.mark.usefixtures("ledger")


@transaction.atomic
def process_1() -> None:
    Account.objects.select_for_update().get(id=1)
    Account.objects.select_for_update().get(id=2)


@transaction.atomic
def process_2() -> None:
    Account.objects.select_for_update().get(id=2)
    Account.objects.select_for_update().get(id=1)


@pytest.mark.parametrize("driver", DRIVERS)
def test_forked_processes_talk_on_one_connection_so_they_are_one_session(driver: str) -> None:
    """And one session cannot be in a deadlock with itself."""
    code = """
    say(backend())
    for number in (1, 2):
        forked(lambda: say(backend()))
    """
    with forking(code, driver) as child:
        assert len({child.heard() for _ in range(3)}) == 1
        assert child.ended() == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_close_all_in_the_child_cuts_the_parents_connection(driver: str) -> None:
    code = """
    backend()
    forked(connections.close_all)
    try:
        say(backend())
    except Exception as error:
        say(type(error).__name__)
    """
    with forking(code, driver) as child:
        assert child.heard() == "OperationalError"
        assert child.ended() == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_closed_before_the_fork_each_process_has_a_connection_of_its_own(driver: str) -> None:
    code = """
    say(backend())
    connections.close_all()
    forked(lambda: say(backend()))
    say(backend())
    """
    with forking(code, driver) as child:
        assert len({child.heard() for _ in range(3)}) == 3
        assert child.ended() == (0, "")


def test_join_with_a_timeout_says_deadlock_where_nobody_waits_for_anybody() -> None:
    code = """
    from multiprocessing import get_context
    fork = get_context("fork")
    ours, theirs = fork.Pipe()
    def sleeper():
        theirs.recv()
    process = fork.Process(target=sleeper)
    process.start()
    process.join(timeout=0.05)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        say([process.is_alive(), cursor.fetchone()[0]])
    ours.send("wake up")
    process.join()
    """
    with forking(code) as child:
        assert child.heard() == [True, 0]
        assert child.ended() == (0, "")


def test_run_together_is_what_to_write_instead() -> None:
    report = run_together(process_1, process_2)
    assert report.deadlocked, report.explanation
    assert {"process_1", "process_2"} == set(report.cycle)


def test_it_deadlocks_every_time() -> None:
    assert [run_together(process_1, process_2).outcome for _ in range(200)] == ["deadlock"] * 200
