"""What every schedule starts from is put back to the last bit, whatever the tables and the types are."""

from __future__ import annotations

import pytest
from interleaved import made, run, steps

from django_lockstep.testing import explore

pytestmark = pytest.mark.usefixtures("clean_orm")

TYPES = {
    "jsonb": "jsonb 'null'",
    "json": """json '{"b": 1,  "b": 2.50}'""",
    "int[]": "'[0:2]={1,NULL,3}'::int[]",
    "text[]": """ARRAY['a "b"', NULL, 'NULL', '', '\\x', '{,}', '(1,2)']""",
    "numeric": "numeric 'NaN'",
    "numeric(20, 5)": "numeric '1.50000'",
    "float8": "0.1::float8 + 0.2::float8",
    "float4": "1::float4 / 3",
    "double precision": "'-Infinity'::float8",
    "money": "12.34::money",
    "bytea": r"bytea '\x00275cff22'",
    "text": "E'\\\\ '' \" \\n , () {} \\t'",
    "char(5)": "'a  '::char(5)",
    "bpchar": "bpchar 'a  '",
    '"char"': "'x'::\"char\"",
    "name": "name 'who'",
    "boolean": "true",
    "bit(3)": "B'101'",
    "varbit": "B'10'",
    "date": "date '0044-03-15 BC'",
    "timestamp": "timestamp 'infinity'",
    "timestamptz": "timestamptz '2001-02-03 04:05:06.789012+05'",
    "timetz": "timetz '04:05:06.789012+05:30'",
    "interval": "interval '1 year -2 days 3:04:05.000006'",
    "int4range": "int4range(1, 5)",
    "tstzrange": "tstzrange('2001-02-03', NULL, '(]')",
    "uuid": "'11111111-2222-3333-4444-555555555555'::uuid",
    "xml": "xml '<a b=\"c\">&amp;</a>'",
    "tsvector": "tsvector 'fat:2A cat:3'",
    "tsquery": "tsquery 'fat & cat'",
    "inet": "inet '10.0.0.1'",
    "cidr": "cidr '10.0.0.0/8'",
    "macaddr": "macaddr '08:00:2b:01:02:03'",
    "point": "point '(0.1,0.2)'",
    "polygon": "polygon '((0,0),(0.1,1),(1,0))'",
    "pg_lsn": "pg_lsn '16/B374D848'",
    "regclass": "'orm_account'::regclass",
    "state_pair": "ROW(1, 'a \"b\", (c)', NULL)::state_pair",
    "state_pair[]": "ARRAY[ROW(1, NULL, '{1}')::state_pair, NULL]",
    "state_few": "3::state_few",
    "state_mood": "'so so'::state_mood",
    "hstore": 'hstore \'a=>NULL, "b c"=>"d"\'',
}


def text_of(*tables: str) -> list[list[tuple[object, ...]]]:
    return [
        run(f"SELECT tableoid::regclass::text, (x.*)::text FROM {table} x ORDER BY 1, 2") for table in tables
    ]


def spoilt_and_back(*tables: str, spoil: tuple[str, ...]) -> None:
    """Assert that a search whose every schedule spoils the tables leaves them as they were, and has spoilt them."""
    before, spoilt = text_of(*tables), []
    explore(steps(*spoil), steps("SELECT 1"), invariant=lambda: spoilt.append(text_of(*tables)))
    assert spoilt
    assert all(after != kept for now in spoilt for after, kept in zip(now, before, strict=True))
    assert text_of(*tables) == before


@pytest.mark.parametrize("settings", ["", "SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'"])
def test_values_of_every_type_come_back(settings: str) -> None:
    ((built,),) = run("SELECT setting FROM pg_config WHERE name = 'CONFIGURE'")
    types = {name: value for name, value in TYPES.items() if name != "xml" or "--with-libxml" in str(built)}
    columns = ", ".join(f"c{at} {name}" for at, name in enumerate(types))
    values = ", ".join(types.values())
    with made(
        "CREATE EXTENSION IF NOT EXISTS hstore",
        "CREATE TYPE state_pair AS (one int, other text, more int[])",
        "CREATE DOMAIN state_few AS int NOT NULL CHECK (VALUE < 10)",
        "CREATE TYPE state_mood AS ENUM ('sad', 'so so')",
        f"CREATE TABLE state_types ({columns})",
        f"INSERT INTO state_types VALUES ({values})",
        f"INSERT INTO state_types (c{list(types).index('state_few')}) VALUES (1)",
        "ALTER TABLE state_types ADD gone int, ADD last int DEFAULT 7",
        "ALTER TABLE state_types DROP gone",
        settings or "SELECT 1",
        dropped="DROP TABLE state_types; DROP TYPE state_pair, state_mood; DROP DOMAIN state_few; "
        "DROP EXTENSION hstore; RESET DateStyle; RESET IntervalStyle",
    ):
        spoilt_and_back("state_types", spoil=("DELETE FROM state_types",))
        spoilt_and_back("state_types", spoil=("UPDATE state_types SET last = 8",))


def test_tables_of_every_kind_come_back() -> None:
    with made(
        'CREATE SCHEMA "State\'s"',
        'CREATE TABLE "State\'s"."a b" ("x" int PRIMARY KEY, "a b" text)',
        'INSERT INTO "State\'s"."a b" VALUES (1, \'one\')',
        "CREATE TABLE state_elder (id int, name text)",
        "CREATE TABLE state_heir (more text) INHERITS (state_elder)",
        "INSERT INTO state_elder VALUES (1, 'elder')",
        "INSERT INTO state_heir VALUES (2, 'heir', 'more')",
        "CREATE TABLE state_parts (id int, name text) PARTITION BY LIST (id)",
        "CREATE TABLE state_part_1 PARTITION OF state_parts FOR VALUES IN (1)",
        "CREATE TABLE state_part_2 (name text, gone int, id int)",
        "ALTER TABLE state_part_2 DROP gone",
        "ALTER TABLE state_parts ATTACH PARTITION state_part_2 FOR VALUES IN (2)",
        "INSERT INTO state_parts VALUES (1, 'one'), (2, 'two'), (2, 'two')",
        "CREATE TABLE state_always (id int GENERATED ALWAYS AS IDENTITY, name text, "
        "low text GENERATED ALWAYS AS (lower(name)) STORED)",
        "INSERT INTO state_always (name) VALUES ('A'), ('B')",
        "CREATE UNLOGGED TABLE state_unlogged (id int)",
        "INSERT INTO state_unlogged VALUES (1), (1), (NULL)",
        "CREATE TABLE state_bare ()",
        "INSERT INTO state_bare DEFAULT VALUES",
        "CREATE MATERIALIZED VIEW state_seen AS SELECT id, name FROM state_always",
        "CREATE MATERIALIZED VIEW state_unseen AS SELECT id, name FROM state_always WITH NO DATA",
        dropped='DROP SCHEMA "State\'s" CASCADE; DROP TABLE state_elder, state_heir, state_parts, state_always, '
        "state_unlogged, state_bare CASCADE",
    ):
        spoilt_and_back(
            '"State\'s"."a b"',
            "state_elder",
            "ONLY state_elder",
            "state_parts",
            "state_always",
            "state_unlogged",
            "state_bare",
            "state_seen",
            spoil=(
                'UPDATE "State\'s"."a b" SET x = 2',
                "DELETE FROM state_elder",
                "INSERT INTO state_heir VALUES (3, 'three')",
                "UPDATE state_parts SET id = 3 - id",
                "UPDATE state_always SET name = 'C'",
                "INSERT INTO state_always (name) VALUES ('D')",
                "TRUNCATE state_unlogged",
                "INSERT INTO state_bare DEFAULT VALUES",
                "REFRESH MATERIALIZED VIEW state_seen",
            ),
        )
        run("INSERT INTO state_always (name) VALUES ('next')")
        assert run("SELECT id FROM state_always WHERE name = 'next'") == [(3,)], (
            "the sequence is put back, too"
        )


def test_large_objects_come_back() -> None:
    what = "SELECT oid::int, encode(lo_get(oid), 'hex') FROM pg_largeobject_metadata ORDER BY 1"
    assert run(what) == []
    write = "SELECT lo_from_bytea(41, '\\x00')"
    explore(steps(write), steps("SELECT 1"))
    assert run(what) == [], "one that is new"
    run("SELECT lo_from_bytea(42, 'abc'), lo_from_bytea(43, 'def'), lo_from_bytea(44, '')")
    try:
        before, spoilt = run(what), []
        explore(
            steps(write, "SELECT lo_put(42, 1, 'xxxx')", "SELECT lo_unlink(43)", "SELECT lo_put(44, 0, 'x')"),
            steps("SELECT 1"),
            invariant=lambda: spoilt.append(run(what)),
        )
        assert spoilt
        assert before not in spoilt
        assert run(what) == before
    finally:
        run("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
