"""What a role may or may not do: it always gets a deadlock, and is told by what means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import make_conninfo
from witness import FAST, tables_made, value

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection

QUICK = {"deadlock_timeout": "50ms"}


def test_without_create_it_is_advisory_locks(role: MakeRole) -> None:
    report = simulate_deadlock(role(settings=QUICK))
    assert report.deadlocked
    assert "may not CREATE" in " ".join(report.notes)
    assert "pg_advisory_xact_lock" in report.sessions[0].statements[1].sql


def test_without_superuser_the_victim_is_chosen_by_the_clock(role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"deadlock_timeout": "300ms"})
    for victim in ("A", "B"):
        report = simulate_deadlock(dsn, victim=victim)
        assert report.victims == (victim,)
        assert not report.server.may_set_deadlock_timeout


def test_grant_set_on_parameter_is_enough_to_set_it(
    dsn: str, role: MakeRole, may_create: str, witness: Connection
) -> None:
    if value(witness, "SELECT current_setting('server_version_num')::int") < 150000:
        pytest.skip("GRANT SET ON PARAMETER came with PostgreSQL 15")
    granted = role(grant=may_create)
    name = granted.partition("user=")[2].split()[0]
    tables_made(dsn, f"GRANT SET ON PARAMETER deadlock_timeout TO {name}")
    for victim in ("A", "B"):
        report = simulate_deadlock(granted, deadlock_timeout=FAST, victim=victim)
        assert report.victims == (victim,)
        assert report.server.may_set_deadlock_timeout
        assert report.elapsed < report.server.deadlock_timeout
        assert not [note for note in report.notes if "may not set" in note]


@pytest.mark.parametrize("path", ["''", "pg_catalog", "suite_no_such_schema", "suite_closed"])
@pytest.mark.parametrize("privileged", [True, False])
def test_a_search_path_without_a_schema_to_write_to(
    path: str, privileged: bool, dsn: str, role: MakeRole, may_create: str
) -> None:
    tables_made(dsn, "CREATE SCHEMA suite_closed")
    try:
        granted = role(grant=may_create if privileged else "", settings=QUICK)
        report = simulate_deadlock(make_conninfo(granted, options=f"-c search_path={path}"))
        assert report.deadlocked
        assert ("FOR UPDATE" in report.sessions[0].statements[1].sql) == privileged
    finally:
        tables_made(dsn, "DROP SCHEMA suite_closed")


def test_a_real_table_outside_of_the_search_path(dsn: str, table: str) -> None:
    bare = make_conninfo(dsn, options="-c search_path=pg_catalog")
    assert simulate_deadlock(bare, table=f"public.{table}", deadlock_timeout=FAST).deadlocked


def test_a_role_that_other_roles_inherit(dsn: str, role: MakeRole, may_create: str) -> None:
    """CREATE by way of a group, which is how most projects grant it."""
    group, member = role(grant=may_create), role(settings=QUICK)
    names = [one.partition("user=")[2].split()[0] for one in (group, member)]
    tables_made(dsn, f"GRANT {names[0]} TO {names[1]}")
    report = simulate_deadlock(member)
    assert (report.deadlocked, report.notes) == (True, ())
