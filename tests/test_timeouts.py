"""The timeouts: PostgreSQL's own, which decide what happens first, and the call's, which ends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from witness import ENDLESS, FAST, nothing_left, schemas

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection


def test_deadlock_timeout_is_how_long_postgresql_waits(dsn: str) -> None:
    short = simulate_deadlock(dsn, deadlock_timeout=FAST)
    longer = simulate_deadlock(dsn, deadlock_timeout=0.4)
    assert longer.elapsed >= 0.4 > short.elapsed
    assert "deadlock_timeout (0.4 s in this run; the server's is " in longer.explanation


def test_deadlock_timeout_refused_to_a_role_is_the_servers_and_a_note_says_so(
    role: MakeRole, may_create: str
) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": "200ms"})
    report = simulate_deadlock(dsn, deadlock_timeout=0.001)
    assert report.deadlocked
    assert report.server.deadlock_timeout == 0.2
    assert report.elapsed >= 0.2
    (note,) = report.notes
    for words in (
        "deadlock_timeout=0.001 was asked for",
        f"role {report.server.role} may not set it",
        "GRANT SET ON PARAMETER",
        "server's 0.2 s was used",
    ):
        assert words in note
    assert note in report.to_text(width=10_000)


def test_lock_timeout_below_deadlock_timeout_comes_first(dsn: str) -> None:
    report = simulate_deadlock(dsn, lock_timeout=0.05, deadlock_timeout=1)
    assert report.outcome == "lock_timeout"
    assert {session.sqlstate for session in report.sessions if session.outcome == "lock_timeout"} == {"55P03"}
    for words in ("55P03", "lock_timeout (0.05 s)", "before deadlock_timeout (1 s)", "longer than"):
        assert words in report.explanation


def test_statement_timeout_below_deadlock_timeout_comes_first(dsn: str) -> None:
    report = simulate_deadlock(dsn, statement_timeout=0.05, deadlock_timeout=1)
    assert report.outcome == "statement_timeout"
    assert "57014" in {session.sqlstate for session in report.sessions}
    for words in ("57014", "statement_timeout (0.05 s)", "before deadlock_timeout (1 s)", "longer than"):
        assert words in report.explanation


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_those_of_the_role_count_when_none_is_given(setting: str, role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={setting: "50ms", "deadlock_timeout": "1s"})
    report = simulate_deadlock(dsn)
    assert report.outcome == setting
    assert f"{setting} (0.05 s)" in report.explanation


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_longer_ones_do_not_matter(setting: str, dsn: str) -> None:
    if setting == "lock_timeout":
        report = simulate_deadlock(dsn, lock_timeout=20, deadlock_timeout=FAST)
    else:
        report = simulate_deadlock(dsn, statement_timeout=20, deadlock_timeout=FAST)
    assert report.deadlocked


def test_the_calls_timeout_ends_it_with_nothing_left(dsn: str, witness: Connection) -> None:
    began = time.monotonic()
    report = simulate_deadlock(dsn, deadlock_timeout=ENDLESS, timeout=0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert report.outcome == "timeout"
    assert schemas(witness) == []
    nothing_left(witness)
    assert [session.outcome for session in report.sessions] == ["cancelled", "cancelled"]
    for words in ("timeout (0.5 s) ran out", "A waited for row 2, held by B", f"({ENDLESS:g} s in this run;"):
        assert words in report.explanation
    assert any(event.kind == "cancel" for event in report.events)


def test_sleep_does_not_outlast_the_calls_timeout(dsn: str) -> None:
    began = time.monotonic()
    report = simulate_deadlock(dsn, sleep=60, timeout=0.3)
    assert report.outcome == "timeout"
    assert time.monotonic() - began < 10


def test_a_long_run_ends_before_its_timeout(dsn: str) -> None:
    report = simulate_deadlock(dsn, sleep=0.5, deadlock_timeout=0.5, timeout=20)
    assert report.deadlocked
