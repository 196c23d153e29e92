"""PgBouncer on a random port of the loopback, in front of a server: a database name for each way of pooling."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from components import give_to_ordinary_user, pgbouncer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tls_server import free_port
from witness import wait_until

if TYPE_CHECKING:
    from types import TracebackType

ADMIN = "for the console"
KEEPER = Path(__file__).with_name("keep_process.py")


class PgBouncer:
    """Start one with ``with``. ``pools`` maps a name to its ``pool_mode`` and ``pool_size``."""

    def __init__(
        self,
        server_dsn: str,
        pools: dict[str, tuple[str, int]],
        users: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.executable = pgbouncer()
        self.server = conninfo_to_dict(server_dsn)
        self.pools = pools
        self.users = {
            "admin": ADMIN,
            str(self.server["user"]): str(self.server.get("password") or ""),
            **(users or {}),
        }
        self.settings = settings
        self.folder = Path("/tmp", f"lockstep-pgbouncer-{secrets.token_hex(6)}")
        self.port = free_port()
        self.keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PgBouncer:
        self.folder.mkdir(mode=0o700)
        give_to_ordinary_user(self.folder)
        for name, content in (("pgbouncer.ini", self._configuration()), ("users.txt", self._users())):
            file = self.folder / name
            file.write_text(content)
            file.chmod(0o600)
            give_to_ordinary_user(file)
        command = [sys.executable, str(KEEPER), str(self.executable), str(self.folder / "pgbouncer.ini")]
        self.keeper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(self._answers, f"PgBouncer to answer; its log: {self.log()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.keeper is not None
        with self.keeper:  # closes the pipe, which ends it
            pass
        log = self.log()
        shutil.rmtree(self.folder)
        assert "FATAL" not in log, f"PgBouncer crashed: {log[-3000:]}"

    def dsn(self, pool: str, **parameters: Any) -> str:
        """Return the DSN of a pool."""
        given: dict[str, Any] = {key: self.server[key] for key in ("user", "password") if key in self.server}
        return make_conninfo(host="127.0.0.1", port=self.port, dbname=pool, **(given | parameters))

    def log(self) -> str:
        """Return what it has logged."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _answers(self) -> bool:
        assert self.keeper is not None
        assert self.keeper.poll() is None, self.log()
        try:
            psycopg.connect(self.dsn("pgbouncer", user="admin", password=ADMIN), autocommit=True).close()
        except psycopg.OperationalError:
            return False
        return True

    def _configuration(self) -> str:
        place = f"host={self.server['host']} port={self.server.get('port') or 5432} dbname={self.server['dbname']}"
        lines = ["[databases]"]
        lines += [
            f"{name} = {place} pool_mode={mode} pool_size={size}" for name, (mode, size) in self.pools.items()
        ]
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": self.folder / "users.txt",
            "admin_users": "admin",
            "logfile": self.folder / "log",
            "pidfile": "",
            **self.settings,
        }
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
        return "\n".join(lines) + "\n"

    def _users(self) -> str:
        return "".join(f'"{user}" "{password}"\n' for user, password in self.users.items())
