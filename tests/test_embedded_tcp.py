"""The embedded PostgreSQL as it is on Windows: on the loopback, with a password, kept without signals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from test_embedded import Script, alive, ours, query
from witness import FAST, wait_until

from django_lockstep import embedded, simulate_deadlock
from django_lockstep.embedded import EmbeddedError, EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

OVER_TCP = """
    from django_lockstep import embedded
    embedded._OVER_TCP = True
    server = EmbeddedServer().start()
    say([server.data_dir, server.pid])
"""


@pytest.fixture(autouse=True)
def over_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_OVER_TCP", True)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    before = ours()
    awkward = r"it's a \ back"
    with EmbeddedServer({"deadlock_timeout": "123ms", "cluster_name": awkward}) as server:
        yield server
        pid = server.pid
        assert pid is not None
        assert alive(pid)
    assert not Path(server.data_dir).parent.exists()
    wait_until(lambda: not alive(pid))
    assert ours() == before


def test_it_serves_obeys_its_settings_and_leaves_nothing(server: EmbeddedServer) -> None:
    assert simulate_deadlock(server.dsn, deadlock_timeout=FAST).deadlocked
    assert query(server.dsn, "SHOW deadlock_timeout") == "123ms"
    assert query(server.dsn, "SHOW cluster_name") == r"it's a \ back"
    assert query(server.dsn, "SHOW unix_socket_directories") == ""
    assert query(server.dsn, "SHOW listen_addresses") == "127.0.0.1"
    assert query(server.dsn, "SELECT pg_postmaster_start_time() IS NOT NULL")
    assert (server.socket_dir, server.server_version) == ("", query(server.dsn, "SHOW server_version"))


def test_nobody_else_may_enter_and_the_password_is_on_no_command_line(server: EmbeddedServer) -> None:
    password = conninfo_to_dict(server.dsn)["password"]
    assert isinstance(password, str)
    for wrong in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(make_conninfo(server.dsn, password=wrong))
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert not any(password.encode() in line for line in lines)
    assert server.pid is not None
    assert password.encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_a_failed_start_says_why_and_leaves_nothing() -> None:
    before = ours()
    server = EmbeddedServer({"max_connections": "many"})
    with pytest.raises(EmbeddedError, match="did not start") as caught:
        server.start()
    assert "max_connections" in str(caught.value) + str(caught.value.detail)
    assert not Path(server.data_dir).parent.exists()
    assert ours() == before


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_however_the_parent_ends_nothing_is_left(end: str) -> None:
    with Script(f"{OVER_TCP}\n    sys.stdin.readline()\n    {end}") as script:
        data, pid = script.heard()
        assert alive(pid)
        script.finish()
        wait_until(lambda: not alive(pid) and not Path(data).parent.exists())


def test_a_killed_supervisor_s_server_is_stopped_by_us(server: EmbeddedServer) -> None:
    assert server._supervisor is not None
    server._supervisor.kill()
    server._supervisor.wait()
    server.stop()
    assert not Path(server.data_dir).parent.exists()
    server.start()


def test_the_command_gets_what_libpq_and_django_go_by() -> None:
    code = (
        "import os, psycopg, json; psycopg.connect('').close(); psycopg.connect(os.environ['DATABASE_URL']).close();"
        "print(json.dumps([os.environ['PGHOST'], 'LOCKSTEP_EMBEDDED_PASSWORD' in os.environ]))"
    )
    run = "from django_lockstep import embedded; embedded._OVER_TCP = True; embedded.main()"
    done = subprocess.run(
        [sys.executable, "-c", run, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["127.0.0.1", False]


def test_it_is_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it() -> None:
    with Script(f"{OVER_TCP}\n    sys.stdin.readline()\n    say('still here')\n    server.stop()") as script:
        _, pid = script.heard()
        assert os.getsid(pid) != os.getsid(script.process.pid)
        assert script.process.stdin is not None
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        assert script.heard() == "still here"
        script.finish()
        wait_until(lambda: not alive(pid))
