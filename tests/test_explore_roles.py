"""An ordinary role explores, too: what it may not do, it does without."""

from __future__ import annotations

import pytest
from django.db import connections
from interleaved import made, run

from django_lockstep.testing import explore

pytestmark = pytest.mark.usefixtures("tellers")


def test_an_ordinary_role_puts_back_its_own() -> None:
    """Its triggers and foreign keys are heard meanwhile; what is another's, and cannot be read, is in nobody's way."""
    what = "SELECT (x.*)::text FROM state_own x UNION ALL SELECT (x.*)::text FROM state_owned x ORDER BY 1"
    with made(
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO suite_hasty",
        "CREATE TABLE state_own (id int PRIMARY KEY, held jsonb)",
        "CREATE TABLE state_owned (id int REFERENCES state_own DEFERRABLE, held int[])",
        "INSERT INTO state_own VALUES (1, 'null'), (2, NULL)",
        "INSERT INTO state_owned VALUES (1, '[0:1]={1,2}')",
        "ALTER TABLE state_own OWNER TO suite_hasty",
        "ALTER TABLE state_owned OWNER TO suite_hasty",
        "CREATE MATERIALIZED VIEW state_others AS SELECT 1",
        "SELECT lo_from_bytea(45, 'abc')",
        dropped="DROP TABLE state_own, state_owned; DROP MATERIALIZED VIEW state_others; SELECT lo_unlink(45)",
    ):
        before, spoilt = run(what), []

        def spoil() -> None:
            with connections["hasty"].cursor() as cursor:
                cursor.execute(
                    "DELETE FROM state_owned; UPDATE state_own SET held = '1'; SELECT lo_create(46)"
                )

        def look() -> None:
            connections["hasty"].cursor().execute("SELECT 1")

        explore(spoil, look, using="hasty", invariant=lambda: spoilt.append(run(what)))
        assert spoilt
        assert before not in spoilt
        assert run(what) == before
        assert run("SELECT oid::int FROM pg_largeobject_metadata") == [(45,)]
    connections.close_all()
