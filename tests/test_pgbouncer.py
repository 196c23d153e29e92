"""Through PgBouncer: the main job works in session and transaction mode, the rest is recognised and said."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pooler import PgBouncer
from psycopg.conninfo import make_conninfo
from witness import FAST, At, NothingLeftHere, tables_made, value, wait_until

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep._core import _repeat_deadlock
from django_lockstep.embedded import EmbeddedServer
from django_lockstep.exceptions import ConnectionFailed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from witness import Connection

POOLS = {
    "transaction": ("transaction", 20),
    "session": ("session", 20),
    "statement": ("statement", 20),
    "session_of_3": ("session", 3),
    "transaction_of_3": ("transaction", 3),
    "session_of_2": ("session", 2),
    "transaction_of_2": ("transaction", 2),
    "session_of_1": ("session", 1),
    "transaction_of_1": ("transaction", 1),
}
PASSWORD = "p00ler's"
WORKING = ["session", "transaction"]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    before = NothingLeftHere()
    with EmbeddedServer({"password_encryption": "scram-sha-256"}) as server:
        tables_made(
            server.dsn,
            f"CREATE ROLE poor LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'",
            "ALTER ROLE poor SET deadlock_timeout = '50ms'",
            "CREATE TABLE real_table AS SELECT generate_series(1, 2) AS id",
        )
        yield server
    before.check()


@pytest.fixture(scope="module")
def pooler(server: EmbeddedServer) -> Iterator[PgBouncer]:
    with PgBouncer(server.dsn, POOLS, {"poor": PASSWORD}) as pooler:
        yield pooler


@pytest.fixture
def looking_on(server: EmbeddedServer) -> Iterator[Connection]:
    """The server itself; after the test nothing may be left there but PgBouncer's own idle connections."""
    before = NothingLeftHere()
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        yield connection
        left = (
            "SELECT count(*) FROM (SELECT FROM pg_namespace WHERE nspname LIKE 'lockstep%' UNION ALL "
            "SELECT FROM pg_locks WHERE locktype = 'advisory' UNION ALL "
            "SELECT FROM pg_stat_activity WHERE application_name LIKE 'lockstep%' AND state <> 'idle') AS thing"
        )
        wait_until(lambda: value(connection, left) == 0, "nothing to be left")
    before.check()


@pytest.mark.parametrize("pool", WORKING)
@pytest.mark.usefixtures("looking_on")
class TestWorks:
    def test_scratch_rows(self, pool: str, pooler: PgBouncer) -> None:
        report = simulate_deadlock(pooler.dsn(pool), deadlock_timeout=FAST)
        assert (report.outcome, report.notes) == ("deadlock", ())
        assert "FOR UPDATE" in report.sessions[0].statements[1].sql

    def test_real_rows(self, pool: str, pooler: PgBouncer) -> None:
        assert simulate_deadlock(pooler.dsn(pool), table="real_table", deadlock_timeout=FAST).deadlocked

    def test_the_victim_is_chosen(self, pool: str, pooler: PgBouncer) -> None:
        for victim in ("A", "B") * 10:
            report = simulate_deadlock(pooler.dsn(pool), victim=victim, deadlock_timeout=FAST)
            assert report.victims == (victim,)

    def test_a_ring(self, pool: str, pooler: PgBouncer) -> None:
        report = simulate_deadlock(pooler.dsn(pool), sessions=8, deadlock_timeout=FAST)
        assert len(report.cycle) == 8

    def test_a_role_without_privileges(self, pool: str, pooler: PgBouncer) -> None:
        report = simulate_deadlock(pooler.dsn(pool, user="poor", password=PASSWORD), victim="B")
        assert report.victims == ("B",)
        assert "advisory locks" in " ".join(report.notes)

    def test_many_at_once(self, pool: str, pooler: PgBouncer) -> None:
        with ThreadPoolExecutor(4) as threads:
            runs = [
                threads.submit(simulate_deadlock, pooler.dsn(pool), deadlock_timeout=FAST) for _ in range(20)
            ]
        assert all(run.result().deadlocked for run in runs)

    def test_a_timeout_leaves_nothing(self, pool: str, pooler: PgBouncer) -> None:
        report = simulate_deadlock(pooler.dsn(pool), deadlock_timeout=600, timeout=0.5)
        assert report.outcome == "timeout"

    def test_an_interrupt_leaves_nothing(self, pool: str, pooler: PgBouncer) -> None:
        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            simulate_deadlock(pooler.dsn(pool), deadlock_timeout=600, on_event=At("waiting", interrupt))

    def test_no_setting_leaks_to_the_next_client(self, pool: str, pooler: PgBouncer) -> None:
        dsn = pooler.dsn(f"{pool}_of_3")
        assert simulate_deadlock(dsn, deadlock_timeout=FAST, lock_timeout=5, statement_timeout=5).deadlocked
        _repeat_deadlock(dsn, 3, on_report=print, deadlock_timeout=FAST, lock_timeout=5, statement_timeout=5)
        for _ in range(3):
            with psycopg.connect(dsn, application_name="next") as connection:
                for name, wanted in {
                    "deadlock_timeout": "1s",
                    "lock_timeout": "0",
                    "statement_timeout": "0",
                    "application_name": "next",
                }.items():
                    assert value(connection, f"SHOW {name}") == wanted

    def test_just_enough_server_connections(self, pool: str, pooler: PgBouncer) -> None:
        for _ in range(5):
            assert simulate_deadlock(pooler.dsn(f"{pool}_of_3"), deadlock_timeout=FAST).deadlocked

    @pytest.mark.parametrize("size", [1, 2])
    def test_too_few_server_connections(self, size: int, pool: str, pooler: PgBouncer) -> None:
        error = _refused(pooler.dsn(f"{pool}_of_{size}"), timeout=60)
        assert isinstance(error, Refused)
        assert error.sqlstate == "53300"
        assert "no server connection left" in str(error)
        assert "to 3 or more" in str(error)

    def test_a_pool_that_others_have_used_up(self, pool: str, pooler: PgBouncer) -> None:
        dsn = pooler.dsn(f"{pool}_of_3")
        with closing(psycopg.connect(dsn)) as other:
            other.execute("SELECT 1")  # stays in its transaction
            error = _refused(dsn, timeout=60)
        assert "no server connection left" in str(error)
        assert simulate_deadlock(dsn, deadlock_timeout=FAST).deadlocked


def _refused(dsn: str, **keywords: Any) -> LockstepError:
    began = time.monotonic()
    with pytest.raises(LockstepError) as caught:
        simulate_deadlock(dsn, **keywords)
    # Recognised, not waited out: the bound is only there to tell the two apart.
    assert time.monotonic() - began < 45
    error = caught.value
    assert error.hint
    assert str(error).endswith(error.hint)
    return error


@pytest.mark.usefixtures("looking_on")
def test_statement_mode_is_refused(pooler: PgBouncer) -> None:
    error = _refused(pooler.dsn("statement"))
    assert isinstance(error, Refused)
    assert "statement pooling mode" in str(error)
    assert "pool_mode=transaction" in str(error)
    assert isinstance(error.__cause__, LockstepError)
    assert error.__cause__.sqlstate == "08P01"


@pytest.mark.parametrize("setting", ["options=-cgeqo=off", "PGTZ=UTC"])
def test_start_up_settings_are_refused(
    setting: str, pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, wanted = setting.partition("=")
    if name == "options":
        error = _refused(pooler.dsn("transaction", options=wanted))
    else:
        monkeypatch.setenv(name, wanted)
        error = _refused(pooler.dsn("transaction"))
    assert isinstance(error, ConnectionFailed)
    assert "ignore_startup_parameters" in str(error)


def test_a_pooler_that_ignores_start_up_settings(server: EmbeddedServer) -> None:
    with PgBouncer(server.dsn, POOLS, ignore_startup_parameters="options") as pooler:
        dsn = pooler.dsn("transaction", options="-c geqo=off")
        assert simulate_deadlock(dsn, deadlock_timeout=FAST).deadlocked


def test_too_many_clients(server: EmbeddedServer) -> None:
    with PgBouncer(server.dsn, POOLS, max_client_conn=2) as pooler:
        error = _refused(pooler.dsn("transaction"))
    assert isinstance(error, ConnectionFailed)
    assert "max_client_conn" in str(error)


def test_a_wait_that_pgbouncer_ends_itself(server: EmbeddedServer) -> None:
    with PgBouncer(server.dsn, POOLS, query_wait_timeout=1) as pooler:
        error = _refused(pooler.dsn("transaction_of_1"))
        assert "no server connection left" in str(error)
        error = _refused(pooler.dsn("transaction_of_2"))
        assert "no server connection left" in str(error)


def test_scram_through_pgbouncer(server: EmbeddedServer) -> None:
    dsn = make_conninfo(server.dsn, user="poor", password=PASSWORD)
    with PgBouncer(dsn, POOLS, auth_type="scram-sha-256") as pooler:
        report = simulate_deadlock(pooler.dsn("transaction"), victim="A")
        assert report.victims == ("A",)
        error = _refused(pooler.dsn("transaction", password="wr0ng"))
        assert isinstance(error, ConnectionFailed)
        assert "wr0ng" not in f"{error}{error.__cause__}"
