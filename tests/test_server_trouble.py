"""The server's side goes wrong in the middle: backends ended, statements cancelled, the server frozen or stopped."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from witness import ENDLESS, FAST, At, NothingLeftHere, nothing_left, schemas, value, wait_until

from django_lockstep import Event, LockstepError, Report, simulate_deadlock
from django_lockstep.exceptions import ConnectionLost

if TYPE_CHECKING:
    from witness import Connection

    from django_lockstep.embedded import EmbeddedServer


def outcomes(report: Report) -> dict[str, str]:
    return {session.name: session.outcome for session in report.sessions}


def test_a_session_that_an_administrator_ends(dsn: str, witness: Connection) -> None:
    def end(event: Event) -> None:
        assert value(witness, "SELECT pg_terminate_backend(%s)", event.backend_pid)

    report = simulate_deadlock(dsn, deadlock_timeout=ENDLESS, on_event=At("waiting", end))
    assert report.outcome == "error"
    assert outcomes(report) == {"A": "disconnected", "B": "committed"}
    assert report.sessions[0].sqlstate == "57P01"
    assert "A lost its connection with 57P01" in report.explanation
    assert schemas(witness) == []


def test_an_idle_session_that_an_administrator_ends(dsn: str, witness: Connection) -> None:
    """It does not wait in the server, so only its next statement can notice."""

    def end(event: Event) -> None:
        victim = event.backend_pid
        value(witness, "SELECT pg_terminate_backend(%s, 10000)", victim)

    report = simulate_deadlock(
        dsn, deadlock_timeout=FAST, on_event=At("request", end, session="B", step="row 1")
    )
    assert report.outcome == "error"
    assert outcomes(report) == {"A": "committed", "B": "disconnected"}
    assert "B lost its connection" in report.explanation
    assert schemas(witness) == []


def test_a_session_whose_statement_somebody_cancels(dsn: str, witness: Connection) -> None:
    def cancel(event: Event) -> None:
        assert value(witness, "SELECT pg_cancel_backend(%s)", event.backend_pid)

    report = simulate_deadlock(dsn, deadlock_timeout=ENDLESS, on_event=At("waiting", cancel))
    assert report.outcome == "error"
    assert outcomes(report) == {"A": "error", "B": "committed"}
    assert report.sessions[0].sqlstate == "57014"
    assert "A failed with 57014" in report.explanation


def test_the_observer_that_an_administrator_ends(dsn: str, witness: Connection) -> None:
    def end(_: Event) -> None:
        sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"
        assert value(witness, sql, "lockstep observer")

    with pytest.raises(ConnectionLost) as caught:
        simulate_deadlock(dsn, deadlock_timeout=ENDLESS, on_event=At("waiting", end))
    assert caught.value.sqlstate == "57P01"
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.hint
    assert caught.value.__cause__ is not None
    assert schemas(witness) == []
    nothing_left(witness)


def test_every_backend_of_ours_ended_at_once(dsn: str, witness: Connection) -> None:
    def end(_: Event) -> None:
        sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE %s"
        witness.execute(sql, ["lockstep%"])

    # Whoever notices first decides: the observer, or the sessions.
    try:
        report = simulate_deadlock(dsn, deadlock_timeout=ENDLESS, on_event=At("waiting", end))
    except ConnectionLost as error:
        assert error.sqlstate == "57P01"  # noqa: PT017 - it is one of two ways
    else:
        assert set(outcomes(report).values()) == {"disconnected"}
    assert schemas(witness) == []


@pytest.mark.parametrize("how", ["immediate", "fast"])
@pytest.mark.parametrize("kind", ["begin", "waiting", "error"])
def test_the_server_stopped_mid_run(kind: str, how: str, private_server: EmbeddedServer) -> None:
    pid = private_server.pid
    assert pid is not None
    before = NothingLeftHere()

    def stop(_: Event) -> None:
        os.kill(pid, signal.SIGQUIT if how == "immediate" else signal.SIGINT)
        wait_until(lambda: not postmaster_lives(pid), "the server to stop")

    began = time.monotonic()
    timeout = ENDLESS if kind == "waiting" else FAST
    # Whoever notices first decides: the observer, and the run could not be watched to its end, or all sessions.
    try:
        report = simulate_deadlock(private_server.dsn, deadlock_timeout=timeout, on_event=At(kind, stop))
    except ConnectionLost as error:
        assert error.hint  # noqa: PT017 - it is one of two ways
    else:
        assert report.outcome == ("deadlock" if kind == "error" else "error")
        assert "disconnected" in outcomes(report).values()
        assert "lost its connection" in report.explanation or kind == "error"
    assert time.monotonic() - began < 20
    before.check()


def postmaster_lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def backends(postmaster: int) -> list[int]:
    """Return the postmaster and all its children."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


@pytest.mark.parametrize("sessions", [2, 8])
def test_timeout_holds_against_a_frozen_server(sessions: int, private_server: EmbeddedServer) -> None:
    assert private_server.pid is not None
    postmaster = private_server.pid
    before = NothingLeftHere()
    frozen: list[int] = []

    def freeze(_: Event) -> None:
        frozen.extend(backends(postmaster))
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    began = time.monotonic()
    try:
        report = simulate_deadlock(
            private_server.dsn,
            sessions=sessions,
            deadlock_timeout=ENDLESS,
            timeout=1,
            on_event=At("waiting", freeze),
        )
        took = time.monotonic() - began
        before.check()
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert frozen
    assert 1 <= took < 8
    assert report.outcome == "timeout"
    assert set(outcomes(report).values()) == {"cancelled"}
    with closing(psycopg.connect(private_server.dsn, autocommit=True)) as witness:
        left = schemas(witness)
        assert any("a later run removes" in note for note in report.notes) == bool(left)
        # The thawed backends find their clients gone; then a later run removes what is left.
        wait_until(lambda: not value(witness, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
        wait_until(lambda: sweeps(private_server.dsn, witness), "a run to sweep")
        nothing_left(witness)


def sweeps(dsn: str, witness: Connection) -> bool:
    assert simulate_deadlock(dsn, deadlock_timeout=FAST).deadlocked
    return schemas(witness) == []


def test_a_server_frozen_before_the_first_answer(private_server: EmbeddedServer) -> None:
    assert private_server.pid is not None
    before = NothingLeftHere()
    began = time.monotonic()
    os.kill(private_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LockstepError, match="ran out while connecting"):
            simulate_deadlock(private_server.dsn, timeout=0.5)
        assert time.monotonic() - began < 8
        before.check()
    finally:
        os.kill(private_server.pid, signal.SIGCONT)
    assert simulate_deadlock(private_server.dsn, deadlock_timeout=FAST).deadlocked
