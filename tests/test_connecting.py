"""No connection: what happened, what to do, the SQLSTATE and the cause; never a password anywhere."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from witness import FAST, SECRET, NothingLeftHere, wait_until

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep.exceptions import CallTimeout, ConnectionFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django_lockstep.embedded import EmbeddedServer


def everything_told(error: BaseException) -> str:
    """Return all that a log could show of an exception."""
    told = "".join(traceback.format_exception(error))
    one: BaseException | None = error
    while one is not None:
        told += f"{one!r} {one} {one.args} {vars(one)}"
        one = one.__cause__ or one.__context__
    return told


def assert_no_secret(text: str, secret: str = SECRET) -> None:
    for form in (
        secret,
        quote(secret),
        quote(secret, safe=""),
        repr(secret)[1:-1],
        secret.replace("'", "\\'"),
    ):
        assert form not in text


def failure(dsn: str, **keywords: Any) -> LockstepError:
    before = NothingLeftHere()
    with pytest.raises(ConnectionFailed) as caught:
        simulate_deadlock(dsn, **keywords)
    error = caught.value
    assert isinstance(error, LockstepError)
    assert isinstance(error, ConnectionError)
    assert error.hint
    assert str(error).endswith(error.hint)
    before.check()
    return error


def test_no_server_is_listening_on_a_port() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = failure(f"host=127.0.0.1 port={port} user=u dbname=d")
    assert f"No server is listening at 127.0.0.1 port {port}" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert error.sqlstate is None


def test_no_server_is_listening_on_a_socket(tmp_path: Path) -> None:
    error = failure(f"host={tmp_path} user=u dbname=d")
    assert f"Unix socket {tmp_path}" in str(error)
    assert isinstance(error.__cause__, FileNotFoundError)


def test_a_host_that_has_no_address() -> None:
    error = failure("host=no-such-host.invalid user=u dbname=d connect_timeout=10")
    assert "no-such-host.invalid" in str(error)
    assert error.__cause__ is not None


def test_every_host_that_was_tried_is_told(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    error = failure(f"host={one},{other} user=u dbname=d")
    assert str(one) in str(error)
    assert str(other) in str(error)


def test_a_server_that_will_do_among_others(tmp_path: Path, dsn: str) -> None:
    info = psycopg.conninfo.conninfo_to_dict(dsn)
    both = make_conninfo(dsn, host=f"{tmp_path},{info['host']}", port=f"1,{info['port']}")
    assert simulate_deadlock(both, deadlock_timeout=FAST).deadlocked


@pytest.mark.parametrize("form", ["keyword/value", "URI"])
def test_the_right_password_works_and_is_never_told(form: str, password_server: str) -> None:
    dsn = make_conninfo(password_server, password=SECRET)
    if form == "URI":
        info = psycopg.conninfo.conninfo_to_dict(password_server)
        dsn = (
            f"postgresql://guarded:{quote(SECRET, safe='')}@/postgres?host={info['host']}&port={info['port']}"
        )
    report = simulate_deadlock(dsn, victim="A", deadlock_timeout=FAST)
    assert report.deadlocked
    assert_no_secret(report.to_json() + report.to_text(3) + repr(report) + repr(report.events))


@pytest.mark.parametrize("given", ["wrong", SECRET + "x", "", None])
def test_a_wrong_password(given: str | None, password_server: str) -> None:
    dsn = make_conninfo(password_server, password=given) if given is not None else password_server
    error = failure(dsn)
    assert "password" in str(error)
    if given:
        assert error.sqlstate == "28P01"
        assert isinstance(error.__cause__, LockstepError)
        assert error.__cause__.sqlstate == "28P01"
        assert_no_secret(everything_told(error), given)


def test_a_role_that_is_not_let_in(password_server: str) -> None:
    error = failure(make_conninfo(password_server, user="nobody_in"))
    assert error.sqlstate == "28000"
    assert "pg_hba.conf" in str(error)


def test_a_role_that_does_not_exist(dsn: str) -> None:
    error = failure(make_conninfo(dsn, user="nobody by that name"))
    assert error.sqlstate in ("28000", "28P01")
    assert "nobody by that name" in str(error)


def test_a_database_that_does_not_exist(dsn: str) -> None:
    error = failure(make_conninfo(dsn, dbname="no such database", password=SECRET))
    assert error.sqlstate == "3D000"
    assert 'no database "no such database"' in str(error)
    assert error.__cause__ is not None
    assert_no_secret(everything_told(error))


def test_a_database_that_takes_no_connections(dsn: str) -> None:
    error = failure(make_conninfo(dsn, dbname="template0"))
    assert error.sqlstate == "55000"


MALFORMED = [
    "host=h password='{secret}' bogus",
    "host=h password='{secret}",
    "host=h password={secret} nonsense=1",
    "postgresql://u:{quoted}@[::1",
    "postgresql://u:{quoted}@h:port/d",
    "postgresql://u:{quoted}@h/d?nonsense=1",
    "postgresql://u:{quoted}%@h/d",
    "postgresql://u:{quoted}%zz@h/d",
    "postgresql://u@h/d?password={quoted}%zz",
    "mysql://u:{quoted}@h/d",
    "u:{secret}@h/d",
    "host=h password=two {secret}",
    "host=h password=two {secret} words",
    "host=h user=u password='{secret}' port=abc",
    "host=h user=u password='{secret}' sslmode=maybe",
    "host=h user=u password='{secret}' connect_timeout=soon",
    "host=h user=u password='{secret}' options='-c a=\0'",
]


@pytest.mark.parametrize("template", MALFORMED)
def test_a_malformed_dsn_is_refused_without_its_password(template: str) -> None:
    secret = "hunter2hunter2"
    dsn = template.format(secret=secret, quoted=secret)
    with pytest.raises((ConnectionFailed, UsageError)) as caught:
        simulate_deadlock(dsn)
    assert caught.value.hint
    assert_no_secret(everything_told(caught.value), secret)


@pytest.mark.parametrize(
    "template",
    [
        "host={host} port=9 user=u dbname=d password={secret}",
        "postgresql://u:{secret}@localhost:9/d",
        "postgresql://localhost:9/d?user=u&password={secret}",
        "host={host} user=u dbname=d password={secret} options='-c nonsense'",
    ],
)
def test_no_failure_tells_a_password(template: str, tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    error = failure(template.format(secret=secret, host=tmp_path))
    assert_no_secret(everything_told(error), secret)


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A port whose connections are taken by the kernel and then answered by nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"host=127.0.0.1 port={listener.getsockname()[1]} user=u dbname=d"


def test_timeout_bounds_a_connection_that_nobody_answers(black_hole: str) -> None:
    before = NothingLeftHere()
    began = time.monotonic()
    with pytest.raises(CallTimeout) as caught:
        simulate_deadlock(black_hole, timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 10
    assert "connecting" in str(caught.value)
    assert caught.value.hint
    before.check()


def test_connect_timeout_bounds_it_too(black_hole: str) -> None:
    error = failure(f"{black_hole} connect_timeout=1")
    assert "connect_timeout" in str(error)


def test_what_answers_but_is_no_postgresql() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(3):
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(LockstepError) as caught:
            simulate_deadlock(
                f"host=127.0.0.1 port={listener.getsockname()[1]} user=u dbname=d sslmode=disable"
            )
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert caught.value.hint


def test_a_server_that_is_shutting_down_says_so(private_server: EmbeddedServer) -> None:
    """A smart shutdown waits for its clients and lets nobody else in."""
    assert private_server.pid is not None
    with psycopg.connect(private_server.dsn):
        os.kill(private_server.pid, signal.SIGTERM)

        def refused() -> bool:
            try:
                psycopg.connect(private_server.dsn).close()
            except psycopg.OperationalError:
                return True
            return False

        wait_until(refused, "the server to refuse clients")
        error = failure(private_server.dsn)
    assert error.sqlstate == "57P03"
    assert "shutting down" in str(error)
