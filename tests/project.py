"""A Django project on the suite's server, whose ``manage.py`` the tests run as users do."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from witness import tables_made

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "shop_project"
DATABASE = "suite_shop"
SECRET = "Hunter2-Ünïque"
"""Must never be seen."""


@dataclass
class Shop:
    """The project; ``dsn`` is its own database, whose ``deadlock_timeout`` is short."""

    dsn: str
    folder: Path
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """Return what its processes see."""
        # A warning is no error here: Django's own at exit are not ours to judge.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "COLUMNS", "NO_COLOR"))
        }
        return {**kept, "SHOP_DATABASES": json.dumps(self.databases), "TERM": "xterm-256color", **more}

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, str(HERE / "manage.py"), *arguments]

    def manage(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` without a terminal, to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,  # for a defect
            cwd=self.folder,
            env=self.environment(**environment),
            check=False,
        )

    def deadlock_test(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command without a terminal, to its end."""
        return self.manage("deadlock_test", *arguments, stdin=stdin, **environment)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start the command without a terminal."""
        process = subprocess.Popen(
            self.command("deadlock_test", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(PYTHONUNBUFFERED="1"),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def on_terminal(self, *arguments: str, columns: int = 80, **environment: str) -> Iterator[Terminal]:
        """Start the command on a terminal of its own."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            self.command("deadlock_test", *arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env=self.environment(**environment),
            start_new_session=True,
        )
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            process.wait()
            os.close(ours)


@dataclass
class Terminal:
    """The other side of a process's terminal."""

    end: int
    process: subprocess.Popen[bytes]
    seen: str = ""

    def read_until(self, pattern: str) -> None:
        """Read until it shows."""
        while not re.search(pattern, self.seen):
            assert self._read(), f"never came: {pattern}\n{self.seen}"

    def read_all(self) -> str:
        """Read until the process ends; return everything that it wrote."""
        while self._read():
            pass
        self.process.wait(30)
        return self.seen.replace("\r\n", "\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def _read(self) -> bool:
        deadline = time.monotonic() + 30
        readable, _, _ = select.select([self.end], [], [], max(0, deadline - time.monotonic()))
        assert readable, f"said nothing more in 30 s: {self.seen}"
        try:
            data = os.read(self.end, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.seen += data.decode()
        return bool(data)


@contextmanager
def shop_on(dsn: str, folder: Path) -> Iterator[Shop]:
    """Make the project's database, with every kind of table in it, and drop it."""
    own = make_conninfo(dsn, dbname=DATABASE)
    tables_made(
        dsn,
        f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
        f"CREATE DATABASE {DATABASE}",
        f"ALTER DATABASE {DATABASE} SET deadlock_timeout = '30ms'",
    )
    shop = Shop(own, folder)
    postgresql = {"ENGINE": "django.db.backends.postgresql", **settings_of(own)}
    shop.databases = {
        "default": postgresql,
        "other": {**postgresql, "NAME": conninfo_to_dict(dsn)["dbname"], "TEST": {"MIRROR": "default"}},
        "lite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "mysql": {"ENGINE": "django.db.backends.mysql", "NAME": "nowhere"},
        "nameless": {},
        "locked_out": {**postgresql, "USER": "suite_nobody", "PASSWORD": SECRET},
        "unknown": {**postgresql, "NAME": "suite_no_such_database"},
        "unreachable": {**postgresql, "HOST": "127.0.0.1", "PORT": "1", "PASSWORD": SECRET},
    }
    migrated = shop.manage("migrate", "--run-syncdb", "-v0")
    assert migrated.returncode == 0, migrated.stderr
    rows = "SELECT generate_series(1, 3)"
    tables_made(
        own,
        f"INSERT INTO shop_item {rows}",
        "INSERT INTO shop_special SELECT id, 'note' FROM shop_item",
        "INSERT INTO shop_wrapped SELECT id FROM shop_item",
        f'INSERT INTO "Odd table; --" {rows}',
        f"CREATE SCHEMA shelves CREATE TABLE shelf (id bigint PRIMARY KEY); INSERT INTO shelves.shelf {rows}",
        "CREATE VIEW shop_window AS SELECT id FROM shop_item",
    )
    try:
        yield shop
    finally:
        tables_made(dsn, f"DROP DATABASE {DATABASE} WITH (FORCE)")


def settings_of(dsn: str) -> dict[str, str]:
    """Return the settings of a DSN, as DATABASES has them."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    parts = conninfo_to_dict(dsn)
    return {setting: str(parts[name]) for setting, name in names.items() if parts.get(name)}
