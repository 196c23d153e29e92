"""``on_event`` and ``on_start``: called in the calling thread, in order; what they raise ends the run cleanly."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from witness import ENDLESS, FAST, At, nothing_left, schemas, value

from django_lockstep import Event, Server, simulate_deadlock

if TYPE_CHECKING:
    from witness import Connection


def test_it_sees_every_event_in_order(dsn: str) -> None:
    seen: list[Event] = []
    report = simulate_deadlock(dsn, deadlock_timeout=0.2, on_event=seen.append)
    assert tuple(seen) == report.events


@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_it_is_called_in_the_calling_thread(where: str, dsn: str) -> None:
    threads = set()

    def run() -> None:
        simulate_deadlock(
            dsn, deadlock_timeout=FAST, on_event=lambda _: threads.add(threading.current_thread())
        )

    if where == "main thread":
        run()
        assert threads == {threading.main_thread()}
    else:
        caller = threading.Thread(target=run)
        caller.start()
        caller.join()
        assert threads == {caller}


def test_it_is_called_between_two_steps(dsn: str, witness: Connection) -> None:
    """Nothing of the run goes on while it is looked at: the server says the same before and after."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    counts = []

    def look(event: Event) -> None:
        if event.kind == "waiting":
            counts.append([value(witness, waiting) for _ in range(20)])

    report = simulate_deadlock(dsn, deadlock_timeout=2, on_event=look)
    assert report.deadlocked
    assert counts == [[1] * 20, [2] * 20]


def test_a_request_is_told_before_it_is_sent(dsn: str, witness: Connection) -> None:
    states = []

    def look(event: Event) -> None:
        sql = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        states.append(value(witness, sql, event.backend_pid))

    simulate_deadlock(dsn, deadlock_timeout=1, on_event=At("request", look, session="A", step="row 2"))
    assert states == ["idle in transaction"]


class Stop(Exception):
    """Raised by the tests' callbacks."""


@pytest.mark.parametrize("error", [Stop("enough"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("kind", ["begin", "request", "acquired", "waiting", "error", "rollback"])
def test_what_it_raises_is_raised_and_nothing_is_left(
    kind: str, error: BaseException, dsn: str, witness: Connection
) -> None:
    def stop(_: Event) -> None:
        raise error

    on_event = At(kind, stop)
    with pytest.raises(type(error)) as caught:
        simulate_deadlock(dsn, deadlock_timeout=FAST, on_event=on_event)
    assert caught.value is error
    assert on_event.seen[-1].kind == kind  # it is not called again
    assert schemas(witness) == []
    nothing_left(witness)


def test_it_may_run_another_simulation(dsn: str) -> None:
    inner = []

    def again(_: Event) -> None:
        inner.append(simulate_deadlock(dsn, deadlock_timeout=FAST))

    assert simulate_deadlock(dsn, deadlock_timeout=1, on_event=At("waiting", again)).deadlocked
    assert inner[0].deadlocked


def test_it_may_take_its_time(dsn: str, witness: Connection) -> None:
    """A slow callback changes the moments, never the outcome."""
    pause = At("waiting", lambda _: value(witness, "SELECT pg_sleep(0.3)::text"))
    assert simulate_deadlock(dsn, deadlock_timeout=FAST, on_event=pause).deadlocked


def test_something_that_cannot_be_called_is_refused(dsn: str) -> None:
    with pytest.raises(TypeError):
        simulate_deadlock(dsn, on_event="print")  # type: ignore[arg-type]


def test_on_start_is_told_the_server_once_before_the_first_event(dsn: str) -> None:
    seen: list[object] = []
    report = simulate_deadlock(dsn, deadlock_timeout=FAST, on_start=seen.append, on_event=seen.append)
    assert seen == [report.server, *report.events]
    assert isinstance(seen[0], Server)


def test_what_on_start_raises_is_raised_and_nothing_is_left(dsn: str, witness: Connection) -> None:
    error = Stop("not here")

    def stop(_: Server) -> None:
        raise error

    with pytest.raises(Stop) as caught:
        simulate_deadlock(dsn, deadlock_timeout=ENDLESS, on_start=stop)
    assert caught.value is error
    assert schemas(witness) == []
