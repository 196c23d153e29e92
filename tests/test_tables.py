"""``table`` and ``key``: real rows of any table, whatever it is called, are locked and left as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from witness import FAST, Connection, nothing_left, schemas, tables_made, value

from django_lockstep import simulate_deadlock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def schema(dsn: str, witness: Connection) -> Iterator[str]:
    name = 'suite\'s "odd" schema; --'
    identifier = sql.Identifier(name).as_string(witness)
    tables_made(dsn, f"CREATE SCHEMA {identifier}")
    yield name
    nothing_left(witness)
    tables_made(dsn, f"DROP SCHEMA {identifier} CASCADE")


def test_real_rows_deadlock_and_stay_as_they_are(table: str, dsn: str, witness: Connection) -> None:
    content = f"SELECT md5(string_agg(t::text || xmin, ',' ORDER BY id)) FROM {table} t"
    before = value(witness, content)
    seen = []
    report = simulate_deadlock(
        dsn, (3, 4), table=table, deadlock_timeout=FAST, on_event=lambda _: seen.append(schemas(witness))
    )
    assert report.deadlocked
    assert f"A held row 3 of {table}" in report.explanation
    assert value(witness, content) == before
    assert not any(seen)  # no scratch schema is made


def test_a_ring_over_real_rows(table: str, dsn: str) -> None:
    report = simulate_deadlock(dsn, range(1, 9), sessions=8, table=table, deadlock_timeout=FAST)
    assert len(report.cycle) == 8


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "UPPER Case",
        "with space",
        'with"quote',
        "with'apostrophe",
        "back\\slash",
        "dotted.name",
        'x"; DROP TABLE victims; --',
        "x'; DROP TABLE victims; --",
        "select",
        "tabelle_für_größe_表",
        "$$ %s {} \t\n",
        "n" * 63,
    ],
    ids=ascii,
)
def test_any_name_is_only_a_name(name: str, schema: str, dsn: str, witness: Connection) -> None:
    tables_made(dsn, sql.SQL("CREATE TABLE {}.victims ()").format(sql.Identifier(schema)).as_string(witness))
    named = sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(name)).as_string(witness)
    key = sql.Identifier(name).as_string(witness)
    tables_made(dsn, f"CREATE TABLE {named} ({key} int PRIMARY KEY)", f"INSERT INTO {named} VALUES (1), (2)")
    assert simulate_deadlock(dsn, table=named, key=name, deadlock_timeout=FAST).deadlocked
    in_path = f"{dsn}&" if "?" in dsn else f"{dsn}?"
    identifier = sql.Identifier(schema).as_string(witness)
    options = f"-c search_path={identifier}".replace("\\", "\\\\").replace(" ", "\\ ")
    options = options.replace("-c\\ ", "-c ")
    if dsn.startswith("postgres"):
        bare = simulate_deadlock(
            f"{in_path}options={quoted(options)}", table=name, key=name, deadlock_timeout=FAST
        )
        assert bare.deadlocked
    assert value(witness, "SELECT count(*) FROM pg_tables WHERE tablename = 'victims'") == 1


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def test_a_bare_name_beats_schema_dot_table(dsn: str) -> None:
    tables_made(
        dsn,
        "CREATE SCHEMA suite_a CREATE TABLE b (id int); INSERT INTO suite_a.b VALUES (1), (2)",
        'CREATE TABLE "suite_a.b" (id int)',
    )
    try:
        # The bare name has no rows, so nothing is locked there.
        assert simulate_deadlock(dsn, table="suite_a.b", deadlock_timeout=FAST).outcome == "no_conflict"
        tables_made(dsn, 'DROP TABLE "suite_a.b"')
        assert simulate_deadlock(dsn, table="suite_a.b", deadlock_timeout=FAST).deadlocked
    finally:
        tables_made(dsn, "DROP SCHEMA suite_a CASCADE", 'DROP TABLE IF EXISTS "suite_a.b"')


@pytest.mark.parametrize("kind", ["smallint", "int", "bigint", "numeric"])
def test_any_integer_key(kind: str, schema: str, dsn: str, witness: Connection) -> None:
    named = sql.SQL("{}.t").format(sql.Identifier(schema)).as_string(witness)
    tables_made(
        dsn, f"CREATE TABLE {named} (number {kind} PRIMARY KEY)", f"INSERT INTO {named} VALUES (1), (2)"
    )
    assert simulate_deadlock(dsn, table=named, key="number", deadlock_timeout=FAST).deadlocked


def test_a_partitioned_table(schema: str, dsn: str, witness: Connection) -> None:
    space = sql.Identifier(schema).as_string(witness)
    tables_made(
        dsn,
        f"CREATE TABLE {space}.p (id bigint PRIMARY KEY) PARTITION BY RANGE (id)",
        f"CREATE TABLE {space}.p1 PARTITION OF {space}.p FOR VALUES FROM (0) TO (10)",
        f"CREATE TABLE {space}.p2 PARTITION OF {space}.p FOR VALUES FROM (10) TO (20)",
        f"INSERT INTO {space}.p VALUES (5), (15)",
    )
    assert simulate_deadlock(dsn, (5, 15), table=f"{space}.p", deadlock_timeout=FAST).deadlocked


def test_the_name_in_a_report_cannot_break_a_line(schema: str, dsn: str, witness: Connection) -> None:
    named = (
        sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier("a\n\x1b[31mred")).as_string(witness)
    )
    tables_made(dsn, f"CREATE TABLE {named} (id int)", f"INSERT INTO {named} VALUES (1), (2)")
    report = simulate_deadlock(dsn, table=named, deadlock_timeout=FAST)
    assert report.deadlocked
    assert "\x1b" not in report.to_text(3)
