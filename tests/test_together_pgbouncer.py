"""``run_together`` and ``provoke_deadlock`` behind PgBouncer, in session and in transaction mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, connections, transaction
from orm import DATABASE
from orm.models import Account
from pooler import PgBouncer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from witness import RUNS, NothingLeftHere, value, wait_until

from django_lockstep.exceptions import Refused
from django_lockstep.testing import assert_survives_deadlock, provoke_deadlock, run_together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from witness import Connection

POOLS = {"session": 6, "transaction": 6, "session_of_2": 2, "transaction_of_2": 2}

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture(scope="module")
def pooled(tellers: None, server_dsn: str) -> Iterator[None]:  # noqa: ARG001
    """An alias for each pool: of the same database, through PgBouncer."""
    pools = {name: (name.split("_")[0], size) for name, size in POOLS.items()}
    with PgBouncer(make_conninfo(server_dsn, dbname=DATABASE), pools) as pooler:
        for name in POOLS:
            parts = conninfo_to_dict(pooler.dsn(name))
            connections.databases[name] = {
                **connections.databases["default"],
                "NAME": name,
                "HOST": parts["host"],
                "PORT": parts["port"],
                "DISABLE_SERVER_SIDE_CURSORS": True,
            }
        yield
        for name in POOLS:
            connections[name].close()
            del connections[name]
            del connections.databases[name]


@pytest.fixture
def accounts(pooled: None, session_witness: Connection) -> Iterator[None]:  # noqa: ARG001
    """Two accounts; afterwards nothing of ours is left but PgBouncer's own idle connections."""
    before = NothingLeftHere()
    Account.objects.bulk_create([Account(pk=1), Account(pk=2)])
    yield
    Account.objects.all().delete()
    connections.close_all()
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockstep%' AND state <> 'idle'"
    wait_until(lambda: value(session_witness, left) == 0, "nothing to be left")
    before.check()


def locks(using: str, *keys: int) -> None:
    with transaction.atomic(using=using):
        for key in keys:
            Account.objects.using(using).select_for_update().get(pk=key)


@pytest.mark.parametrize("using", ["session", "transaction"])
def test_callables_deadlock(using: str) -> None:
    for _ in range(RUNS):
        report = run_together(lambda: locks(using, 1, 2), lambda: locks(using, 2, 1), using=using)
        assert report.deadlocked, report.to_text(2)
        assert len(report.victims) == 1
        assert sorted(session.outcome for session in report.sessions) == ["committed", "deadlock_victim"]


@pytest.mark.parametrize("using", ["session", "transaction"])
def test_callables_get_through_in_order(using: str) -> None:
    report = run_together(lambda: locks(using, 1, 2), lambda: locks(using, 1, 2), using=using)
    assert report.outcome == "no_conflict", report.to_text(2)
    assert [event.session for event in report.events if event.kind == "waiting"] == ["B"]


@pytest.mark.parametrize("using", ["session_of_2", "transaction_of_2"])
def test_a_pool_that_is_too_small_is_told_of(using: str) -> None:
    with pytest.raises(Refused, match="server connection") as refused:
        run_together(lambda: locks(using, 1, 2), lambda: locks(using, 2, 1), using=using, timeout=60)
    assert refused.value.sqlstate == "53300"


@pytest.mark.parametrize("using", ["session", "transaction"])
def test_code_survives_the_opponent(using: str) -> None:
    def tries(times: int) -> None:
        for attempt in range(times):
            try:
                locks(using, 1, 2)
            except OperationalError:
                if attempt + 1 == times:
                    raise
            else:
                return

    rows = Account.objects.using(using)
    for _ in range(RUNS // 4):
        survived = assert_survives_deadlock(
            lambda: tries(3), holding=rows.filter(pk=2), wanting=rows.filter(pk=1), times=2, using=using
        )
        assert (survived.deadlocks, survived.attempts) == (2, 3)
    opponent = provoke_deadlock(holding=rows.filter(pk=2), wanting=rows.filter(pk=1), using=using)
    with pytest.raises(OperationalError), opponent:
        tries(1)
    assert "gave up" in opponent.explanation
