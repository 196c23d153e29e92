"""A real standby, which is always read-only: rows cannot be locked there, advisory locks can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from project import Shop, settings_of
from tls_server import TlsServer
from witness import FAST, NothingLeftHere, nothing_left, value

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep.embedded import _find_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def standby() -> Iterator[TlsServer]:
    """A server in recovery that waits for a primary which never comes."""
    before = NothingLeftHere()
    with TlsServer(_find_binaries(), standby=True) as server:
        assert value(server.witness, "SELECT pg_is_in_recovery()")
        yield server
        nothing_left(server.witness)
    before.check()


@pytest.mark.parametrize("table", [None, "some_table"])
def test_rows_cannot_be_locked(table: str | None, standby: TlsServer) -> None:
    with pytest.raises(LockstepError) as caught:
        simulate_deadlock(standby.inside, table=table)
    assert caught.value.sqlstate == "25006"
    assert "read-only standby" in str(caught.value)
    assert 'lock="advisory"' in str(caught.value)


def test_advisory_locks_can_be_taken(standby: TlsServer) -> None:
    report = simulate_deadlock(standby.inside, lock="advisory", deadlock_timeout=FAST, victim="B")
    assert report.victims == ("B",)


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        ("any", True),
        ("standby", True),
        ("read-only", True),
        ("prefer-standby", True),
        ("primary", False),
        ("read-write", False),
    ],
)
def test_target_session_attrs(wanted: str, accepted: bool, standby: TlsServer) -> None:
    dsn = f"{standby.inside} target_session_attrs={wanted}"
    try:
        simulate_deadlock(dsn, lock="advisory", deadlock_timeout=FAST)
        ours = True
    except LockstepError as error:
        ours = False
        message = str(error)
    try:
        psycopg.connect(dsn).close()
        theirs = True
    except psycopg.OperationalError:
        theirs = False
    assert ours == theirs == accepted
    if not accepted:
        assert wanted in message


def test_a_host_that_will_do_among_several(standby: TlsServer, dsn: str) -> None:
    primary = settings_of(dsn)
    host = f"host={standby.directory},{primary['HOST']} port={standby.port},{primary.get('PORT', '5432')}"
    login = f"user={primary['USER']} dbname=postgres"
    for wanted in ("primary", "read-write"):
        report = simulate_deadlock(f"{host} {login} target_session_attrs={wanted}", deadlock_timeout=FAST)
        assert report.deadlocked
    with pytest.raises(LockstepError, match="read-only standby"):
        simulate_deadlock(f"{host} user=postgres dbname=postgres target_session_attrs=prefer-standby")


def test_the_command_names_the_primary(standby: TlsServer, dsn: str, tmp_path: Path) -> None:
    engine: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    aliases = {
        "default": {**engine, **settings_of(dsn)},
        "replica": {**engine, **settings_of(standby.inside), "TEST": {"MIRROR": "default"}},
    }
    done = Shop(dsn, tmp_path, aliases).deadlock_test("--database", "replica")
    assert done.returncode == 1
    assert "read-only standby" in done.stderr
    assert "--database default" in done.stderr
