"""Ctrl-C: ``KeyboardInterrupt`` at once, wherever the call is, and nothing is left on the server."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from child import Child
from witness import ENDLESS, nothing_left, schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from witness import Connection

BOUND = 5.0
"""Generous; 50 ms is what a machine with nothing else to do shows."""

INTERRUPTED = """
    before = len(os.listdir("/proc/self/task"))
    try:
        CALL
    except KeyboardInterrupt:
        now = time.monotonic()
        # A thread that has just ended is in /proc a little longer.
        while len(os.listdir("/proc/self/task")) > before and time.monotonic() < now + 10:
            time.sleep(0.001)
        say(["interrupted", now, len(os.listdir("/proc/self/task")) - before])
    else:
        say("not interrupted")
"""


def interrupted(call: str) -> str:
    return INTERRUPTED.replace("CALL", call)


def assert_interrupted(child: Child, sent: float) -> None:
    what, at, threads = child.heard()  # no event comes after the one that was waited for
    assert what == "interrupted"
    assert at - sent < BOUND
    assert threads == 0
    assert child.ended() == (0, "")


@pytest.mark.parametrize(
    ("keywords", "event"),
    [
        ("", ["waiting", "A"]),
        ("sessions=8", ["waiting", "G"]),
        ("lock='advisory'", ["waiting", "A"]),
        ("sleep=60", ["acquired", "B"]),
    ],
)
def test_while_it_waits(keywords: str, event: list[str], dsn: str, witness: Connection) -> None:
    call = f"simulate_deadlock(dsn, deadlock_timeout={ENDLESS}, timeout=100, on_event=told, {keywords})"
    with Child(interrupted(call), dsn) as child:
        child.heard_until(event)
        sent = time.monotonic()
        child.process.send_signal(signal.SIGINT)
        assert_interrupted(child, sent)
    assert schemas(witness) == []
    nothing_left(witness)


def test_inside_the_callback(dsn: str, witness: Connection) -> None:
    code = interrupted(f"""
        def wait(event):
            told(event)
            if event.kind == "waiting": time.sleep(60)
        simulate_deadlock(dsn, deadlock_timeout={ENDLESS}, on_event=wait)
    """)
    with Child(code, dsn) as child:
        child.heard_until(["waiting", "A"])
        sent = time.monotonic()
        child.process.send_signal(signal.SIGINT)
        assert_interrupted(child, sent)
    assert schemas(witness) == []


def test_twice_in_a_row(dsn: str, witness: Connection) -> None:
    """An impatient user may press it again while the clean-up goes on; that must not break the clean-up."""
    call = f"simulate_deadlock(dsn, deadlock_timeout={ENDLESS}, on_event=told)"
    code = f"""
    try:
        try:
            {call}
        except KeyboardInterrupt:
            say("once")
            time.sleep(0.5)
    except KeyboardInterrupt:
        say("twice")
    """
    with Child(code, dsn) as child:
        child.heard_until(["waiting", "A"])
        child.process.send_signal(signal.SIGINT)
        child.process.send_signal(signal.SIGINT)
        assert child.heard() in ("once", "twice")
        child.ended()
    assert schemas(witness) == []
    nothing_left(witness)


def test_the_process_can_run_another_after_it(dsn: str) -> None:
    code = f"""
    try:
        simulate_deadlock(dsn, deadlock_timeout={ENDLESS}, on_event=told)
    except KeyboardInterrupt:
        say(simulate_deadlock(dsn, deadlock_timeout=0.01).outcome)
    """
    with Child(code, dsn) as child:
        child.heard_until(["waiting", "A"])
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "deadlock"
        assert child.ended() == (0, "")


def test_another_signals_python_handler_runs_during_the_call(dsn: str, witness: Connection) -> None:
    code = interrupted("""
        def stop(number, frame): raise KeyboardInterrupt
        signal.signal(signal.SIGTERM, stop)
        simulate_deadlock(dsn, deadlock_timeout=600, on_event=told)
    """)
    with Child(code, dsn) as child:
        child.heard_until(["waiting", "A"])
        sent = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        assert_interrupted(child, sent)
    assert schemas(witness) == []


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_while_connecting_to_what_never_answers(listener: socket.socket) -> None:
    dsn = f"host=127.0.0.1 port={listener.getsockname()[1]} user=u dbname=d"
    with Child(interrupted("simulate_deadlock(dsn, timeout=100)"), dsn) as child:
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(1)  # it has said hello and waits for an answer
            sent = time.monotonic()
            child.process.send_signal(signal.SIGINT)
            assert_interrupted(child, sent)
