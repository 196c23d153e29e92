"""When nothing deadlocks, the explanation names the very reason: a row, a lock, a backend, the caller itself."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from child import Child
from witness import ENDLESS, FAST, wait_until

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection


def test_a_missing_row_is_named(dsn: str, table: str) -> None:
    report = simulate_deadlock(dsn, (1, 4711), table=table, deadlock_timeout=FAST)
    assert report.outcome == "no_conflict"
    assert f"there is no row 4711 of {table}" in report.explanation
    assert "locks nothing" in report.explanation
    assert any(event.kind == "acquired" and event.rows == 0 for event in report.events)
    assert f"finds no row 4711 of {table}" in report.to_text()


def test_several_missing_rows_are_all_named(dsn: str, table: str) -> None:
    report = simulate_deadlock(dsn, (98, 99), table=table, deadlock_timeout=FAST)
    assert f"no row 98 of {table} and no row 99 of {table}" in report.explanation


def test_an_id_that_the_key_column_cannot_hold_is_only_missing(dsn: str, table: str) -> None:
    report = simulate_deadlock(dsn, (2**63 - 1, 1), table=table, deadlock_timeout=FAST)
    assert report.outcome == "no_conflict"
    assert str(2**63 - 1) in report.explanation


def test_an_uncommitted_row_is_a_missing_row(dsn: str, table: str) -> None:
    with closing(psycopg.connect(dsn)) as other:
        other.execute(f"INSERT INTO {table} VALUES (50)".encode())
        report = simulate_deadlock(dsn, (1, 50), table=table, deadlock_timeout=FAST)
    assert f"there is no row 50 of {table}" in report.explanation
    assert "committed" in report.explanation


def test_an_outsider_that_holds_a_row_is_named(dsn: str, table: str) -> None:
    with closing(psycopg.connect(dsn, application_name="nightly report")) as other:
        other.execute(f"SELECT  id\nFROM {table} WHERE id = 1 FOR UPDATE".encode())
        report = simulate_deadlock(dsn, table=table, deadlock_timeout=FAST)
        pid = other.info.backend_pid
        other.execute("SELECT 1")  # it has not been disturbed
    assert report.outcome == "blocked_by_outsider"
    for words in (
        f"held by pid {pid}",
        "application nightly report",
        "idle in transaction",
        f"SELECT id FROM {table} WHERE id = 1 FOR UPDATE",
        "outside this run",
        "pg_terminate_backend",
    ):
        assert words in report.explanation
    assert any(f"pid {pid}" in event.blocked_by for event in report.events)
    assert f"pid {pid}" in report.to_text()
    assert not report.deadlocked


def test_an_outsider_that_lets_go_in_time_only_delays(dsn: str, table: str) -> None:
    with closing(psycopg.connect(dsn)) as other:
        other.execute(f"SELECT 1 FROM {table} WHERE id = 1 FOR UPDATE".encode())
        seen: list[object] = []

        def let_go(event: object) -> None:
            if not seen and getattr(event, "kind", "") == "waiting":
                seen.append(event)
                other.rollback()

        report = simulate_deadlock(dsn, table=table, deadlock_timeout=0.5, on_event=let_go)
    assert report.deadlocked
    assert seen


def test_an_outsider_in_the_ring_makes_postgresql_abort_somebody(dsn: str, table: str) -> None:
    """An outsider that then waits for a session of ours is part of a cycle that the server sees."""
    with closing(psycopg.connect(dsn, application_name="third")) as other:
        other.execute("SET deadlock_timeout = '10min'")
        other.execute(f"SELECT 1 FROM {table} WHERE id = 2 FOR UPDATE".encode())
        pid = other.info.backend_pid
        report = simulate_deadlock(dsn, (1, 2), table=table, deadlock_timeout=FAST, timeout=20)
    assert report.outcome == "blocked_by_outsider"
    assert f"pid {pid}" in report.explanation


def test_an_ordinary_role_learns_at_least_the_outsiders_pid(
    dsn: str, table: str, role: MakeRole, witness: Connection
) -> None:
    ordinary = role(grant=f"SELECT, UPDATE ON {table}", settings={"deadlock_timeout": "50ms"})
    with closing(psycopg.connect(dsn)) as other:
        other.execute(f"SELECT 1 FROM {table} WHERE id = 1 FOR UPDATE".encode())
        report = simulate_deadlock(ordinary, table=table)
        assert report.outcome == "blocked_by_outsider"
        assert f"pid {other.info.backend_pid}" in report.explanation
    wait_until(lambda: not witness.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall())


DJANGO = """
    import django
    from django.conf import settings
    from psycopg.conninfo import conninfo_to_dict
    info = conninfo_to_dict(dsn)
    settings.configure(DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": info["dbname"], "USER": info["user"],
        "PASSWORD": info.get("password", ""), "HOST": info["host"], "PORT": info["port"],
    }})
    django.setup()
    from django.db import connection, transaction
    from django_lockstep.dsn import dsn_from_alias
    table = sys.argv[2]
"""


def test_the_callers_own_idle_transaction_is_told_at_once(dsn: str, table: str) -> None:
    """As in a TestCase: this thread's own connection holds the row and cannot let go while the call lasts."""
    code = f"""
    {DJANGO}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {{table}} SET balance = 1 WHERE id = 1")
            cursor.execute("SELECT pg_backend_pid()")
            say(cursor.fetchone()[0])
        report = simulate_deadlock(dsn_from_alias(), table=table, deadlock_timeout={ENDLESS}, timeout=50)
        say([report.outcome, report.explanation, report.elapsed])
        transaction.set_rollback(True)
    connection.close()
    """
    with Child(code, dsn, table) as child:
        pid = child.heard()
        outcome, explanation, elapsed = child.heard()
        assert child.ended() == (0, "")
    assert outcome == "blocked_by_outsider"
    for words in (f"Backend {pid} is this very process's own connection", "wait", "TransactionTestCase"):
        assert words in explanation
    assert elapsed < 20  # not deadlock_timeout, and not the call's timeout


def test_inside_a_testcases_transaction_scratch_rows_deadlock(dsn: str, table: str) -> None:
    code = f"""
    {DJANGO}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {{table}} SET balance = 1 WHERE id = 1")
        say(simulate_deadlock(dsn_from_alias(), deadlock_timeout={FAST}).outcome)
        transaction.set_rollback(True)
    connection.close()
    """
    with Child(code, dsn, table) as child:
        assert child.heard() == "deadlock"
        assert child.ended() == (0, "")


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_an_outsiders_row_and_a_short_timeout(setting: str, dsn: str, table: str) -> None:
    with closing(psycopg.connect(dsn)) as other:
        other.execute(f"SELECT 1 FROM {table} WHERE id = 1 FOR UPDATE".encode())
        if setting == "lock_timeout":
            report = simulate_deadlock(dsn, table=table, lock_timeout=0.05)
        else:
            report = simulate_deadlock(dsn, table=table, statement_timeout=0.05)
        pid = other.info.backend_pid
    assert report.outcome == setting
    assert f"pid {pid}" in report.explanation
    assert "cycle" not in report.explanation
