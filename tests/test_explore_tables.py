"""What a search has to know of tables: what columns depend on, who draws from a sequence, what only a session sees."""

from __future__ import annotations

import pytest
from interleaved import accounts, made, run, same_as_all, steps

from django_lockstep.testing import explore

pytestmark = pytest.mark.usefixtures("clean_orm")


def test_a_relation_that_is_made_in_a_transaction() -> None:
    make = steps("CREATE TEMP TABLE made_inside (i int) ON COMMIT DROP", "UPDATE orm_account SET balance = 1")
    result = explore(make, steps("UPDATE orm_account SET balance = 2"), setup=accounts)
    assert (result.complete, result.findings) == (True, ()), result.to_text()


def test_a_column_may_be_called_like_an_alias() -> None:
    with made(
        "CREATE TABLE edges_point (x int PRIMARY KEY, y int)",
        "INSERT INTO edges_point VALUES (1, 0)",
        dropped="DROP TABLE edges_point",
    ):
        change = steps("UPDATE edges_point SET y = y + 1")
        result = explore(change, change)
        assert (result.complete, result.findings) == (True, ()), result.to_text()
        assert run("SELECT x, y FROM edges_point") == [(1, 0)]


def test_a_generated_column_is_unique() -> None:
    """What is set is in no index; what is made of it is."""
    with made(
        "CREATE TABLE edges_made (id int PRIMARY KEY, name text, "
        "low text GENERATED ALWAYS AS (lower(name)) STORED UNIQUE)",
        "INSERT INTO edges_made VALUES (1, 'a'), (2, 'b')",
        dropped="DROP TABLE edges_made",
    ):
        rename = 'UPDATE "edges_made" SET "name" = %s WHERE "edges_made"."id" = %s'
        renames = [steps((rename, "Q", key)) for key in (1, 2)]
        found = [
            {(finding.kind, finding.about.split(" ")[0]) for finding in result.findings}
            for result in (explore(*renames, reduced=reduced) for reduced in (True, False))
        ]
        assert found[0] == found[1] == {("exception", "A"), ("exception", "B")}


def test_two_tables_draw_from_one_sequence() -> None:
    with made(
        "CREATE SEQUENCE edges_numbers",
        "CREATE TABLE edges_one (id int PRIMARY KEY DEFAULT nextval('edges_numbers'), v int)",
        "CREATE TABLE edges_other (id int PRIMARY KEY DEFAULT nextval('edges_numbers'), v int)",
        dropped="DROP TABLE edges_one, edges_other; DROP SEQUENCE edges_numbers",
    ):
        insert = 'INSERT INTO "{0}" ("v") VALUES (%s) RETURNING "{0}"."id"'
        same_as_all(
            lambda: run(insert.format("edges_one"), 1),
            lambda: run(insert.format("edges_other"), 1),
            what="SELECT edges_one.id < edges_other.id FROM edges_one, edges_other",
        )
