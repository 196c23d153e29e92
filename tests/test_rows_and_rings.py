"""``rows``, ``sleep`` and ``sessions``: any ids in any order, and rings of any size with the cycle named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from witness import ENDLESS, FAST, At, Connection, value

from django_lockstep import Report, simulate_deadlock
from django_lockstep.exceptions import Refused

if TYPE_CHECKING:
    from conftest import MakeRole


def locked(report: Report, session: str) -> list[str]:
    """Return the rows that a session asked for, in that order."""
    return [event.step for event in report.events if event.kind == "request" and event.session == session]


@pytest.mark.parametrize(
    "rows",
    [
        (1, 2),
        (2, 1),
        [7, 3, 5],
        range(10, 14),
        (2**63 - 1, -(2**63)),
        (0, -1),
        (2**31, 2**31 + 1, -(2**40), 5, 6, 7, 8, 9),
    ],
    ids=str,
)
def test_two_sessions_lock_any_rows_in_opposite_orders(rows: tuple[int, ...], dsn: str) -> None:
    report = simulate_deadlock(dsn, rows, deadlock_timeout=FAST)
    assert report.deadlocked
    wanted = {"A": [f"row {row}" for row in rows], "B": [f"row {row}" for row in reversed(rows)]}
    (victim,) = report.victims
    for session in ("A", "B"):
        asked = locked(report, session)
        assert asked == wanted[session][: len(asked)]
        if session != victim:
            assert asked == wanted[session]


@pytest.mark.parametrize("rows", [(1, 2), (2**63 - 1, -(2**63), 2**31)], ids=str)
def test_advisory_locks_take_any_ids(rows: tuple[int, ...], dsn: str) -> None:
    assert simulate_deadlock(dsn, rows, lock="advisory", deadlock_timeout=FAST).deadlocked


def test_rows_may_come_from_a_generator(dsn: str) -> None:
    assert simulate_deadlock(dsn, (row for row in (4, 5)), deadlock_timeout=FAST).deadlocked


def test_sleep_is_how_long_each_holds_its_first_lock(dsn: str) -> None:
    report = simulate_deadlock(dsn, (1, 2), 0.2, deadlock_timeout=FAST)
    assert report.deadlocked
    for session in report.sessions:
        first, second = session.statements[1:3]
        assert first.finished is not None
        assert second.requested - first.finished >= 0.2


def test_sleep_is_not_needed(dsn: str) -> None:
    assert simulate_deadlock(dsn, sleep=0, deadlock_timeout=FAST).elapsed < 5


@pytest.mark.parametrize("sessions", [2, 3, 8, 32])
def test_a_ring_deadlocks_and_the_cycle_is_named(sessions: int, dsn: str) -> None:
    report = simulate_deadlock(dsn, sessions=sessions, deadlock_timeout=0.1)
    assert report.deadlocked
    names = [session.name for session in report.sessions]
    assert len(names) == sessions
    start = names.index(report.victims[0])
    assert list(report.cycle) == names[start:] + names[:start]
    for name in names[:3]:
        assert name in report.explanation


@pytest.mark.parametrize("sessions", [3, 8, 32])
def test_a_ring_ends_by_itself(sessions: int, dsn: str) -> None:
    for _ in range(10):
        report = simulate_deadlock(dsn, sessions=sessions, deadlock_timeout=FAST)
        outcomes = sorted(session.outcome for session in report.sessions)
        assert outcomes == ["committed"] * (sessions - 1) + ["deadlock_victim"]


def test_a_ring_holds_its_own_row_and_asks_for_the_next(dsn: str) -> None:
    report = simulate_deadlock(dsn, (30, 10, 20), sessions=3, deadlock_timeout=FAST)
    assert [locked(report, name) for name in "ABC"] == [
        ["row 30", "row 10"],
        ["row 10", "row 20"],
        ["row 20", "row 30"],
    ]


def test_session_names_go_on_after_z(dsn: str) -> None:
    report = simulate_deadlock(dsn, sessions=28, deadlock_timeout=FAST)
    assert [session.name for session in report.sessions][24:] == ["Y", "Z", "AA", "AB"]


def test_as_many_sessions_as_the_server_admits(dsn: str, witness: Connection) -> None:
    # One for the witness, one for the observer; a superuser may use the reserved ones.
    sessions = value(witness, "SELECT current_setting('max_connections')::int") - 2
    report = simulate_deadlock(dsn, sessions=sessions, deadlock_timeout=1, timeout=60)
    assert report.deadlocked
    assert len(report.cycle) == sessions
    assert sum(session.outcome == "committed" for session in report.sessions) == sessions - 1


def test_more_sessions_than_max_connections_are_refused_before_any(dsn: str, witness: Connection) -> None:
    most = value(witness, "SELECT current_setting('max_connections')::int")
    with pytest.raises(Refused, match=rf"max_connections is {most}") as caught:
        simulate_deadlock(dsn, sessions=most)
    assert caught.value.sqlstate == "53300"


def test_an_ordinary_role_is_told_of_the_reserved_connections(witness: Connection, role: MakeRole) -> None:
    most = value(witness, "SELECT current_setting('max_connections')::int")
    with pytest.raises(Refused) as caught:
        simulate_deadlock(role(), sessions=most - 3)
    assert caught.value.sqlstate == "53300"


def test_each_session_is_a_backend_of_its_own(dsn: str, witness: Connection) -> None:
    backends: set[int] = set()

    def look(_: object) -> None:
        found = witness.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'lockstep _'")
        backends.update(row[0] for row in found)

    on_event = At("waiting", look, session="B")
    report = simulate_deadlock(dsn, sessions=3, deadlock_timeout=0.5, on_event=on_event)
    assert {session.backend_pid for session in report.sessions} == backends
    assert len(backends) == 3
    assert report.server.deadlock_timeout < ENDLESS
