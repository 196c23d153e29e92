"""``victim``: the session that is named dies, with and without the privilege to set ``deadlock_timeout``."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from busy import both_cores_busy
from witness import FAST

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole

TIMES = 200
pytestmark = pytest.mark.alone


def victims(dsn: str, times: int, *, at_once: int = 1, **keywords: Any) -> Counter[str]:
    """Run that often, some runs at once; count who died."""
    with ThreadPoolExecutor(at_once) as pool:
        reports = list(pool.map(lambda _: simulate_deadlock(dsn, **keywords), range(times)))
    return Counter(" ".join(report.victims) for report in reports)


@pytest.mark.parametrize("victim", ["A", "B"])
def test_with_privilege_200_of_200(victim: str, dsn: str) -> None:
    assert victims(dsn, TIMES, victim=victim, deadlock_timeout=FAST) == {victim: TIMES}


@pytest.mark.parametrize("victim", ["A", "B"])
def test_as_first_waiter_without_privilege_200_of_200(victim: str, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": "300ms"})
    assert victims(dsn, TIMES, at_once=8, victim=victim) == {victim: TIMES}


@pytest.mark.parametrize("victim", ["A", "B"])
def test_as_last_waiter_without_privilege_200_of_200(victim: str, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": "10ms"})
    assert victims(dsn, TIMES, at_once=2, victim=victim) == {victim: TIMES}


@pytest.mark.parametrize("setting", ["10ms", "300ms"])
@pytest.mark.parametrize("victim", ["A", "B"])
def test_on_a_busy_machine(victim: str, setting: str, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": setting})
    with both_cores_busy():
        assert victims(dsn, 20, at_once=2, victim=victim) == {victim: 20}


@pytest.mark.parametrize("victim", ["A", "B"])
def test_on_a_busy_machine_with_privilege(victim: str, dsn: str) -> None:
    with both_cores_busy():
        assert victims(dsn, 40, victim=victim, deadlock_timeout=FAST) == {victim: 40}


@pytest.mark.parametrize("victim", ["A", "C", "E", "H"])
def test_anybody_in_a_ring_with_privilege(victim: str, dsn: str) -> None:
    assert victims(dsn, 20, victim=victim, sessions=8, deadlock_timeout=FAST) == {victim: 20}


@pytest.mark.parametrize("setting", ["10ms", "300ms"])
@pytest.mark.parametrize("victim", ["A", "C", "E"])
def test_anybody_in_a_ring_without_privilege(
    victim: str, setting: str, role: MakeRole, may_create: str
) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": setting})
    assert victims(dsn, 10, victim=victim, sessions=5) == {victim: 10}


def test_with_the_grant_a_role_is_as_good_as_a_superuser(role: MakeRole) -> None:
    dsn = role(grant="SET ON PARAMETER deadlock_timeout")
    report = simulate_deadlock(dsn, victim="B", deadlock_timeout=FAST)
    assert report.server.may_set_deadlock_timeout
    assert report.victims == ("B",)
    assert report.elapsed < report.server.deadlock_timeout


def test_four_rows_and_advisory_locks_have_their_victims_too(dsn: str, role: MakeRole) -> None:
    assert simulate_deadlock(dsn, range(1, 5), victim="B", deadlock_timeout=FAST).victims == ("B",)
    assert simulate_deadlock(dsn, lock="advisory", victim="B", deadlock_timeout=FAST).victims == ("B",)
    ordinary = role(settings={"deadlock_timeout": "300ms"})
    assert simulate_deadlock(ordinary, range(1, 6), victim="A").victims == ("A",)
    assert simulate_deadlock(ordinary, range(1, 6), victim="B").victims == ("B",)


def test_notes_say_how_the_victim_was_decided(dsn: str, role: MakeRole, may_create: str) -> None:
    privileged = simulate_deadlock(dsn, victim="B", deadlock_timeout=FAST)
    first = simulate_deadlock(role(grant=may_create, settings={"deadlock_timeout": "300ms"}), victim="B")
    last = simulate_deadlock(role(grant=may_create, settings={"deadlock_timeout": "10ms"}), victim="B")
    for report, words in (
        (privileged, "by its own deadlock_timeout of 0.01 s"),
        (first, "without any privilege: it waited first"),
        (last, "without any privilege: it closed the cycle"),
    ):
        (note,) = report.notes
        assert note.startswith("B was made the victim ")
        assert words in note


def test_the_cycle_begins_with_the_victim(dsn: str) -> None:
    report = simulate_deadlock(dsn, sessions=4, victim="C", deadlock_timeout=FAST)
    assert report.cycle == ("C", "D", "A", "B")
