"""SIGKILL leaves what a later run sweeps; what a live run has claimed is never swept."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from child import Child
from witness import FAST, At, schemas, tables_made, value, wait_until

from django_lockstep import Report, simulate_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockstep%'"
WAITS = "simulate_deadlock(dsn, deadlock_timeout=600, timeout=100, on_event=told)"


def killed_at_its_wait(dsn: str, witness: Connection) -> str:
    """Let another process begin a run and die in it; return the schema that it left."""
    with Child(WAITS, dsn) as child:
        child.heard_until(["waiting", "A"])
        child.process.send_signal(signal.SIGKILL)
        assert child.ended()[0] == -signal.SIGKILL
    # A backend that waits for a lock looks for its client every second.
    wait_until(lambda: value(witness, OURS) == 0, "the killed run's backends to end")
    (left,) = schemas(witness)
    return left


def swept(report: Report) -> list[str]:
    return [note for note in report.notes if note.startswith("Removed ")]


def test_the_next_run_removes_what_a_killed_one_left_and_says_so(dsn: str, witness: Connection) -> None:
    left = killed_at_its_wait(dsn, witness)
    report = simulate_deadlock(dsn, deadlock_timeout=FAST)
    assert report.deadlocked
    assert swept(report) == [f"Removed {left}, which a run that was killed had left."]
    assert schemas(witness) == []
    assert swept(simulate_deadlock(dsn, deadlock_timeout=FAST)) == []


def test_the_killed_runs_backends_end_by_themselves(dsn: str, witness: Connection) -> None:
    left = killed_at_its_wait(dsn, witness)
    assert value(witness, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    tables_made(dsn, f"DROP SCHEMA {left} CASCADE")  # nobody holds anything there


def test_a_live_runs_schema_is_never_swept(dsn: str, witness: Connection) -> None:
    inner: list[Report] = []
    seen: list[list[str]] = []

    def run_another(_: object) -> None:
        mine = schemas(witness)
        inner.append(simulate_deadlock(dsn, deadlock_timeout=FAST))
        seen.append(mine)
        assert schemas(witness) == mine

    outer = simulate_deadlock(dsn, deadlock_timeout=2, on_event=At("waiting", run_another))
    assert outer.deadlocked
    assert inner[0].deadlocked
    assert swept(inner[0]) == swept(outer) == []
    assert len(seen[0]) == 1


def test_a_schema_that_only_looks_like_ours_is_left_alone(dsn: str, witness: Connection) -> None:
    names = ["lockstep_0123456789ABCDEF", "lockstep_of_my_own"]
    tables_made(dsn, *(f'CREATE SCHEMA "{name}"' for name in names))
    try:
        report = simulate_deadlock(dsn, deadlock_timeout=FAST)
        assert swept(report) == []
        assert schemas(witness) == names
    finally:
        tables_made(dsn, *(f'DROP SCHEMA "{name}"' for name in names))


def test_another_roles_schema_is_not_ours_to_sweep(
    dsn: str, witness: Connection, role: MakeRole, may_create: str
) -> None:
    left = killed_at_its_wait(dsn, witness)
    ordinary = role(grant=may_create, settings={"deadlock_timeout": "50ms"})
    report = simulate_deadlock(ordinary)
    assert report.deadlocked
    assert swept(report) == []
    assert schemas(witness) == [left]
    assert swept(simulate_deadlock(dsn, deadlock_timeout=FAST))
