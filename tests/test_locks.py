"""``lock`` and ``isolation``: every strength at every level, and advisory locks where rows are not to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from witness import FAST, At, schemas, value

from django_lockstep import simulate_deadlock
from django_lockstep.exceptions import Refused

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection

ISOLATIONS = ["read committed", "repeatable read", "serializable"]


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("lock", ["update", "no key update", "advisory"])
def test_exclusive_locks_deadlock(lock: Any, isolation: Any, dsn: str) -> None:
    report = simulate_deadlock(dsn, lock=lock, isolation=isolation, deadlock_timeout=FAST)
    assert report.deadlocked
    statement = report.sessions[0].statements[1].sql
    assert ("pg_advisory_xact_lock" if lock == "advisory" else f"FOR {lock.upper()}") in statement
    assert isolation.upper() in report.sessions[0].statements[0].sql


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("lock", ["share", "key share"])
def test_shared_locks_do_not_and_it_is_explained(lock: Any, isolation: Any, dsn: str) -> None:
    report = simulate_deadlock(dsn, lock=lock, isolation=isolation, deadlock_timeout=FAST)
    assert report.outcome == "no_conflict"
    assert not report.deadlocked
    assert (report.victims, report.cycle) == ((), ())
    assert [session.outcome for session in report.sessions] == ["committed", "committed"]
    assert f"FOR {lock.upper()} does not conflict with itself" in report.explanation
    assert report.verdict.startswith("NO DEADLOCK")


@pytest.mark.parametrize("lock", ["update", "no key update"])
def test_real_rows_too(lock: Any, dsn: str, table: str) -> None:
    assert simulate_deadlock(dsn, table=table, lock=lock, deadlock_timeout=FAST).deadlocked


def test_isolation_is_the_sessions_own(dsn: str, witness: Connection) -> None:
    report = simulate_deadlock(dsn, isolation="serializable", deadlock_timeout=FAST)
    assert all("SERIALIZABLE" in session.statements[0].sql for session in report.sessions)
    assert value(witness, "SHOW transaction_isolation") == "read committed"


def test_advisory_locks_make_no_schema(dsn: str, witness: Connection) -> None:
    seen: list[str] = []
    report = simulate_deadlock(
        dsn, lock="advisory", deadlock_timeout=FAST, on_event=lambda _: seen.extend(schemas(witness))
    )
    assert report.deadlocked
    assert seen == []
    assert "A held advisory lock 1 and asked for advisory lock 2" in report.explanation
    assert report.notes == ()


def test_advisory_locks_of_two_runs_are_apart(dsn: str) -> None:
    inner = []

    def run_another(_: object) -> None:
        inner.append(simulate_deadlock(dsn, lock="advisory", deadlock_timeout=FAST))

    outer = simulate_deadlock(
        dsn, lock="advisory", deadlock_timeout=2, on_event=At("waiting", run_another, session="A")
    )
    assert outer.deadlocked
    assert [report.deadlocked for report in inner] == [True]
    assert outer.cycle
    assert set(outer.cycle) == {"A", "B"}


def test_without_create_advisory_locks_stand_in_and_a_note_says_so(role: MakeRole) -> None:
    report = simulate_deadlock(role(settings={"deadlock_timeout": "50ms"}))
    assert report.deadlocked
    (note,) = report.notes
    assert f"Role {report.server.role} may not CREATE in database" in note
    assert "advisory locks" in note
    assert "advisory lock 1" in report.explanation


def test_with_create_a_role_has_its_scratch_rows(
    role: MakeRole, may_create: str, witness: Connection
) -> None:
    seen: list[str] = []
    dsn = role(grant=may_create, settings={"deadlock_timeout": "50ms"})
    report = simulate_deadlock(dsn, on_event=lambda _: seen.extend(schemas(witness)))
    assert report.deadlocked
    assert report.notes == ()
    assert seen
    assert not report.server.may_set_deadlock_timeout


@pytest.mark.parametrize("lock", ["share", "key share"])
def test_without_create_a_shared_lock_has_no_stand_in(lock: Any, role: MakeRole) -> None:
    with pytest.raises(Refused, match="GRANT CREATE ON DATABASE") as caught:
        simulate_deadlock(role(), lock=lock)
    assert caught.value.sqlstate == "42501"
