"""Safe without the GIL: everything at once, from many threads, on a free-threaded CPython and on any other.

Where the GIL is there, threads change places between two bytecodes; it is switched as often as can be.
"""

from __future__ import annotations

import json
import random
import sys
import sysconfig
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connections, transaction
from orm.models import Account
from witness import FAST, wait_until

import django_lockstep._core
from django_lockstep import load_spec, run_scenario, scenarios, simulate_deadlock
from django_lockstep.exceptions import UsageError
from django_lockstep.testing import provoke_deadlock, run_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_lockstep import Event, Report

THREADS = 12
ROUNDS = 6
SPEC = """
setup { CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0); }
session A
setup { BEGIN; SET LOCAL deadlock_timeout = '10ms'; }
step a1 { UPDATE t SET n = 1 WHERE id = 1; }
step a2 { UPDATE t SET n = 1 WHERE id = 2; }
step ac { COMMIT; }
session B
setup { BEGIN; SET LOCAL deadlock_timeout = '60s'; }
step b2 { UPDATE t SET n = 2 WHERE id = 2; }
step b1 { UPDATE t SET n = 2 WHERE id = 1; }
step bc { COMMIT; }
permutation a1 b2 b1 a2 ac bc
"""


@contextmanager
def threads_that_change_places_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run it on many threads that start together; raise what any of them raised."""
    start = threading.Barrier(threads)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - an assertion as well
            errors.append(error)

    with threads_that_change_places_often():
        running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    if errors:
        raise errors[0]


def a_pair(dsn: str) -> None:
    told: list[Event] = []
    report = simulate_deadlock(dsn, victim="B", deadlock_timeout=FAST, on_event=told.append)
    assert report.victims == ("B",), report.explanation
    assert [event.at for event in told] == [event.at for event in report.events]


def a_ring(dsn: str) -> None:
    report = simulate_deadlock(dsn, rows=(7, 8, 9), sessions=3, deadlock_timeout=FAST)
    assert sorted(report.cycle) == ["A", "B", "C"], report.explanation


def a_spec(dsn: str) -> None:
    report = load_spec(SPEC).run(dsn, scratch=True)
    assert report.effects == ("40P01",), report.to_isolationtester()


def a_scenario(dsn: str) -> None:
    assert run_scenario("s01-opposite-order", dsn).effects[0] == "40P01"


def an_error(dsn: str) -> None:
    with pytest.raises(UsageError):
        simulate_deadlock(dsn, rows=(1, 1))
    with pytest.raises(UsageError):
        load_spec("session")


def all_that_is_pure(_dsn: str) -> None:
    assert len(scenarios()) > 40
    assert load_spec(SPEC) == load_spec(SPEC)


def test_every_entry_point_at_once_gives_what_it_gives_alone(dsn: str) -> None:
    kinds = (a_pair, a_ring, a_spec, a_scenario, an_error, all_that_is_pure)

    def work(number: int) -> None:
        dice = random.Random(number)
        for kind in dice.choices(kinds, k=ROUNDS):
            kind(dsn)

    at_once(work)


def test_one_report_is_read_and_drawn_by_all(dsn: str) -> None:
    """Its objects are shared; each thread sees the same ones, whole."""
    report = simulate_deadlock(dsn, deadlock_timeout=FAST)
    expected = faces(report)

    def work(_number: int) -> None:
        for _ in range(20):
            assert faces(report) == expected

    at_once(work)


def faces(report: Report) -> list[Any]:
    said = json.loads(report.to_json())
    assert said == report.to_dict()
    attributes = [(each.name, each.backend_pid, each.sqlstate, each.statements) for each in report.sessions]
    return [said, report.to_text(3), report.to_html(), report.to_mermaid(), repr(report), repr(attributes)]


@pytest.mark.usefixtures("ledger")
def test_own_code_is_run_and_provoked_on_every_thread_at_once() -> None:
    """Each thread has two accounts, connections, gates and an opponent of its own.

    An opponent also hears connections that other threads open in its block: so each has its own before the first.
    """
    connected = threading.Barrier(8)

    def work(number: int) -> None:
        low, high = 2 * number + 1, 2 * number + 2

        def move(first: int, second: int) -> None:
            with transaction.atomic():
                for key in (first, second):
                    Account.objects.select_for_update().get(pk=key)

        try:
            connections["default"].ensure_connection()
            connected.wait()
            for _ in range(ROUNDS // 2):
                report = run_together(lambda: move(low, high), lambda: move(high, low))
                assert report.deadlocked, report.explanation
                report = run_together(lambda: move(low, high), lambda: move(low, high))
                assert report.outcome == "no_conflict", report.explanation
                opponent = provoke_deadlock(
                    holding=Account.objects.filter(pk=high),
                    wanting=Account.objects.filter(pk=low),
                    deadlock_timeout=FAST,
                    strict=False,
                )
                with opponent:
                    with pytest.raises(OperationalError, match="deadlock detected"):
                        move(low, high)
                    move(low, high)
                assert (opponent.deadlocks, opponent.findings) == (1, ()), opponent.report
        finally:
            connections.close_all()

    before = threading.active_count()
    at_once(work, threads=connected.parties)
    wait_until(lambda: threading.active_count() == before, "the threads of the runs to be gone")


def test_the_module_does_not_bring_the_gil_back() -> None:
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this interpreter has a GIL; `make matrix` runs the free-threaded one where there is one")
    assert django_lockstep._core
    assert not sys._is_gil_enabled()  # type: ignore[attr-defined]
