"""The distribution's PostgreSQL with TLS on a random port of the loopback, changed while it runs.

It is kept as the embedded server is, by a supervisor that stops it and removes its directory however we end.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from components import give_to_ordinary_user, postgresql_with_tls
from psycopg.conninfo import make_conninfo
from witness import wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from certificates import Certificate

HOST = "db.lockstep.test"
"""The host of every DSN; ``hostaddr`` says where it is."""

KEEPER = Path(__file__).with_name("keep_server.py")
EVERYONE = "host all all 127.0.0.1/32 trust"


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TlsServer:
    """Start one with ``with``; then ``configure`` it as often as need be."""

    def __init__(self, binaries: Path | None = None, *, standby: bool = False) -> None:
        self.directory = Path(
            "/tmp", f"lockstep-tls-{secrets.token_hex(6)}"
        )  # short, as a socket's path must be
        self.port = free_port()
        self.binaries = binaries or postgresql_with_tls()
        self.is_standby = standby
        self.keeper: subprocess.Popen[bytes] | None = None
        self.configured: Any = None

    def __enter__(self) -> TlsServer:
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "log_statement": "all"}
        if self.is_standby:
            settings["wal_level"] = "replica"
        plan = {
            "bin": str(self.binaries),
            "directory": str(self.directory),
            "settings": settings,
            "standby": self.is_standby,
        }
        self.keeper = subprocess.Popen(
            [sys.executable, str(KEEPER), json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.keeper.stdout is not None
        answer = json.loads(self.keeper.stdout.readline())
        assert "error" not in answer, answer
        self.pid: int = answer["pid"]
        self.witness = psycopg.connect(self.inside, autocommit=True, application_name="witness")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.witness.close()
        assert self.keeper is not None
        with self.keeper:  # closes the pipe, which ends it
            pass
        assert not self.directory.exists()

    @property
    def inside(self) -> str:
        """The DSN of the superuser by the Unix socket, which is always let in."""
        return f"host={self.directory} port={self.port} user=postgres dbname=postgres"

    def dsn(self, **parameters: Any) -> str:
        """Return a DSN by TCP. A parameter that is None is left out."""
        given = {
            "host": HOST,
            "hostaddr": "127.0.0.1",
            "user": "postgres",
            "dbname": "postgres",
            **parameters,
        }
        return make_conninfo(
            port=self.port, **{name: value for name, value in given.items() if value is not None}
        )

    def configure(
        self,
        certificate: Certificate | None,
        *,
        hba: str = EVERYONE,
        clients: bytes = b"",
        settings: dict[str, str] | None = None,
    ) -> None:
        """Have it serve this certificate (None: no TLS) and admit by these lines, from the next connection on."""
        wanted = (certificate and certificate.chain_pem, hba, clients, settings)
        if wanted == self.configured:
            return
        if certificate:
            self._write("server.crt", certificate.chain_pem)
            self._write("server.key", certificate.key_pem())
        self._write("clients.crt", clients)
        lines = {
            "ssl": "on" if certificate else "off",
            "password_encryption": "scram-sha-256",
            **(settings or {}),
        }
        if clients:
            lines["ssl_ca_file"] = "clients.crt"
        self._write("postgresql.auto.conf", "".join(f"{k} = '{v}'\n" for k, v in lines.items()).encode())
        self._write("pg_hba.conf", f"local all all trust\n{hba}\n".encode())
        before = self._loaded()
        os.kill(self.pid, signal.SIGHUP)
        # The postmaster reads everything before it forks the next backend.
        wait_until(lambda: self._loaded() > before, "the server to read its configuration")
        self.configured = wanted

    def _write(self, name: str, content: bytes) -> None:
        file = self.directory / "data" / name
        file.write_bytes(content)
        file.chmod(0o600)
        give_to_ordinary_user(file)

    def _loaded(self) -> Any:
        with psycopg.connect(self.inside) as connection:
            row = connection.execute("SELECT pg_conf_load_time()").fetchone()
        assert row is not None
        return row[0]

    def log(self) -> str:
        """Return what it has logged."""
        return (self.directory / "log").read_text(errors="replace")
