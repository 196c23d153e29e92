"""``python -m django_lockstep.embedded COMMAND``: a server for as long as a command runs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from witness import wait_until


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "django_lockstep.embedded", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_command_line_gives_the_command_a_server() -> None:
    code = "import json, os; print(json.dumps([os.environ['DATABASE_URL'], os.environ['LOCKSTEP_TEST_DSN']]))"
    answer = command_line("--", sys.executable, "-c", code)
    assert (answer.returncode, answer.stderr) == (0, "")
    url, dsn = json.loads(answer.stdout)
    assert url == dsn
    host = psycopg.conninfo.conninfo_to_dict(dsn)["host"]
    assert isinstance(host, str)
    assert host.startswith("/")
    assert not Path(host).exists()


def test_command_line_passes_settings_on() -> None:
    code = """if 1:
        import os, psycopg
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            print(connection.execute("SELECT current_setting('work_mem')").fetchone()[0])
    """
    answer = command_line("-c", "work_mem=5MB", "-c", "deadlock_timeout=10ms", sys.executable, "-c", code)
    assert (answer.returncode, answer.stdout) == (0, "5MB\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -KILL $$"], 128 + 9, ""),
        (["no-such-program"], 127, "no-such-program cannot be run"),
        ([], 2, "give a command"),
        (["-c", "work_mem", "true"], 2, "name=value"),
        (["-c", "no_such_setting=1", "true"], 1, "no_such_setting"),
        (["-c", "port=1", "true"], 1, "decides on port"),
    ],
)
def test_command_line_exit_status(arguments: list[str], status: int, message: str) -> None:
    answer = command_line(*arguments)
    assert answer.returncode == status
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


TELL_SIGNALS = """
import os, signal
def tell(number, frame): print(number, flush=True)
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, tell)
signal.signal(signal.SIGUSR1, lambda number, frame: os._exit(5))
print(os.getpid(), os.environ["DATABASE_URL"], flush=True)
while True: signal.pause()
"""
TELLING = [sys.executable, "-m", "django_lockstep.embedded", sys.executable, "-c", TELL_SIGNALS]


def folder_of(dsn: str) -> Path:
    return Path(str(psycopg.conninfo.conninfo_to_dict(dsn)["host"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_command_line_forwards_signals(number: signal.Signals) -> None:
    # A session of its own has no terminal, which would have sent the signal to the command as well.
    with subprocess.Popen(TELLING, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        pid, dsn = process.stdout.readline().split()
        process.send_signal(number)
        if number != signal.SIGKILL:  # which cannot be forwarded: the command goes on, without its server
            assert process.stdout.readline() == f"{number.value}\n"
            assert folder_of(dsn).exists()
        else:
            wait_until(lambda: not folder_of(dsn).exists())
        os.kill(int(pid), signal.SIGUSR1)
        assert process.stdout.read() == ""
    assert process.returncode == (-9 if number == signal.SIGKILL else 5)
    wait_until(lambda: not folder_of(dsn).exists())


def test_command_line_leaves_ctrl_c_at_a_terminal_to_the_terminal() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(TELLING[0], TELLING)
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        lines = iter(screen.readline, b"")
        command, dsn = next(lines).decode().split()
        for _ in range(5):
            screen.write(b"\x03")
            assert next(lines).strip().endswith(b"2")  # after the terminal's own ^C
        os.kill(int(command), signal.SIGUSR1)
        _, status = os.waitpid(pid, 0)
        rest = b""
        with suppress(OSError):  # that is how a terminal without any program says that it is over
            rest = screen.read()
    assert rest == b""
    assert os.waitstatus_to_exitcode(status) == 5
    assert not folder_of(dsn).exists()
