"""What the server, the role or the table does not allow: SQLSTATE, what happened, what to do; nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import make_conninfo
from witness import FAST, nothing_left, tables_made

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep.exceptions import ConnectionFailed, Refused

if TYPE_CHECKING:
    from conftest import MakeRole
    from witness import Connection


def refused(dsn: str, sqlstate: str, **keywords: Any) -> LockstepError:
    with pytest.raises(LockstepError) as caught:
        simulate_deadlock(dsn, **keywords)
    error = caught.value
    assert error.sqlstate == sqlstate
    assert error.hint
    assert str(error).endswith(error.hint)
    assert len(str(error)) > len(error.hint) + 10
    return error


@pytest.fixture
def relations(dsn: str, witness: Connection) -> Any:
    tables_made(
        dsn,
        "CREATE SCHEMA suite_relations",
        "CREATE TABLE suite_relations.t (id int)",
        "CREATE VIEW suite_relations.v AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW suite_relations.m AS SELECT 1 AS id",
        "CREATE SEQUENCE suite_relations.s",
        "CREATE TABLE suite_relations.u (id uuid PRIMARY KEY)",
        "CREATE TABLE suite_relations.w (id text PRIMARY KEY)",
    )
    yield
    nothing_left(witness)
    tables_made(dsn, "DROP SCHEMA suite_relations CASCADE")


@pytest.mark.usefixtures("relations")
@pytest.mark.parametrize(
    ("relation", "what", "sqlstate"),
    [
        ("v", "is a view", "42809"),
        ("m", "is a materialized view", "42809"),
        ("s", "is a sequence", "42809"),
        ("u", "of type uuid", "42804"),
        ("w", "of type text", "42804"),
        ("missing", "no table", "42P01"),
    ],
)
def test_relations_that_will_not_do(relation: str, what: str, sqlstate: str, dsn: str) -> None:
    error = refused(dsn, sqlstate, table=f"suite_relations.{relation}")
    assert isinstance(error, Refused)
    assert what in str(error)


@pytest.mark.usefixtures("relations")
def test_a_missing_key_column(dsn: str) -> None:
    error = refused(dsn, "42703", table="suite_relations.t", key="pk")
    assert 'has no column "pk"' in str(error)


@pytest.mark.parametrize("key", ["ctid", "xmin", "tableoid"])
@pytest.mark.usefixtures("relations")
def test_a_system_column_is_no_key(key: str, dsn: str) -> None:
    refused(dsn, "42703", table="suite_relations.t", key=key)


@pytest.mark.parametrize("text", ["a\0b", "\0"])
def test_a_nul_in_a_name(text: str, dsn: str) -> None:
    for keywords in ({"table": text}, {"table": "pg_class", "key": text}):
        with pytest.raises(LockstepError, match="NUL"):
            simulate_deadlock(dsn, **keywords)  # type: ignore[arg-type]


def test_an_empty_name(dsn: str) -> None:
    refused(dsn, "42P01", table="")


@pytest.mark.parametrize(
    ("grant", "missing"),
    [("", "SELECT and UPDATE"), ("SELECT", "UPDATE"), ("UPDATE", "SELECT")],
)
def test_a_table_that_the_role_may_not_lock(grant: str, missing: str, table: str, role: MakeRole) -> None:
    dsn = role(grant=f"{grant} ON {table}" if grant else "")
    error = refused(dsn, "42501", table=table)
    assert f"lacks {missing}" in str(error)


def test_a_schema_that_the_role_may_not_use(role: MakeRole, dsn: str, witness: Connection) -> None:
    tables_made(dsn, "CREATE SCHEMA suite_closed CREATE TABLE t (id int)")
    try:
        tables_made(dsn, "GRANT SELECT, UPDATE ON suite_closed.t TO PUBLIC")
        error = refused(role(), "42501", table="suite_closed.t")
        assert "suite_closed" in str(error)
    finally:
        nothing_left(witness)
        tables_made(dsn, "DROP SCHEMA suite_closed CASCADE")


def test_a_column_privilege_is_enough(table: str, role: MakeRole) -> None:
    dsn = role(grant=f"SELECT (id), UPDATE (balance) ON {table}", settings={"deadlock_timeout": "50ms"})
    assert simulate_deadlock(dsn, table=table).deadlocked


def test_read_only_transactions(dsn: str, table: str) -> None:
    read_only = make_conninfo(dsn, options="-c default_transaction_read_only=on")
    for keywords in ({}, {"table": table}):
        error = refused(read_only, "25006", **keywords)
        assert "default_transaction_read_only" in str(error)
        assert 'lock="advisory"' in str(error)
    assert simulate_deadlock(read_only, lock="advisory", deadlock_timeout=FAST).deadlocked


def test_a_setting_that_the_role_may_not_make_by_options(role: MakeRole) -> None:
    error = refused(make_conninfo(role(), options="-c deadlock_timeout=1ms"), "42501")
    assert isinstance(error, ConnectionFailed)
    assert error.__cause__ is not None


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_a_roles_connection_limit(limit: int, role: MakeRole) -> None:
    error = refused(role(f"CONNECTION LIMIT {limit}"), "53300", sessions=3, timeout=20)
    assert isinstance(error, LockstepError)
    assert "CONNECTION LIMIT" in str(error)


def test_a_connection_limit_that_is_just_enough(role: MakeRole) -> None:
    dsn = role("CONNECTION LIMIT 4", settings={"deadlock_timeout": "50ms"})
    assert simulate_deadlock(dsn, sessions=3).deadlocked
