"""However the run of a spec ends, its teardown is run; where that fails, it is said what may be left."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from witness import value

from django_lockstep import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from project import Shop
    from witness import Connection

    from django_lockstep import Event

BLOCKED = """
setup { CREATE TABLE spec_first (); }
setup { CREATE TABLE spec_second (); CREATE TABLE spec_of_session (); }
teardown { DROP TABLE spec_second, spec_first; }
session holder setup { BEGIN; } step locks { LOCK TABLE spec_first; } step lets_go { COMMIT; }
session waiter setup { BEGIN; } step waits { LOCK TABLE spec_first; } step ends { COMMIT; }
teardown { DROP TABLE spec_of_session; }
permutation locks waits lets_go ends
"""
MUTUAL = BLOCKED.replace("locks waits lets_go ends", "locks waits(lets_go) lets_go(waits) ends")
TEARDOWN_FAILS = BLOCKED.replace("DROP TABLE spec_second,", "DROP TABLE spec_nowhere,")
LEFT = "SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relname LIKE 'spec\\_%'"


def for_good(text: str) -> str:
    """Return it so that it does not end by itself: the waiter's next step is for when it waits no more."""
    return text.replace("locks waits lets_go ends", "locks waits ends")


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        file = tmp_path / "mine.spec"
        file.write_text(text)
        return str(file)

    return write


@pytest.fixture(autouse=True)
def no_table_is_left(witness: Connection) -> Iterator[None]:
    yield
    for name in value(witness, LEFT) or []:
        witness.execute(f"DROP TABLE {name}".encode())


def at_the_wait(event: Event) -> None:
    if event.kind == "waiting":
        signal.raise_signal(signal.SIGINT)


def test_after_ctrl_c_the_teardowns_are_run(dsn: str, witness: Connection) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        load_spec(BLOCKED).run(dsn, on_event=at_the_wait)
    assert value(witness, LEFT) is None
    assert not hasattr(caught.value, "__notes__")


def test_after_an_error_in_a_callback_the_teardowns_are_run(dsn: str, witness: Connection) -> None:
    def fail(event: Event) -> None:
        if event.kind == "waiting":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load_spec(BLOCKED).run(dsn, on_event=fail)
    assert value(witness, LEFT) is None


def test_after_the_timeout_the_teardowns_are_run(dsn: str, witness: Connection) -> None:
    report = load_spec(BLOCKED.replace("lets_go ends", "ends lets_go")).run(dsn, timeout=0.5)
    assert report.failure == "the timeout of 0.5 s ran out"
    assert report.notes == ()
    assert value(witness, LEFT) is None


def test_after_a_file_is_given_up_the_teardowns_are_run(dsn: str, witness: Connection) -> None:
    report = load_spec(MUTUAL).run(dsn, step_timeout=0.1)
    assert report.failure is not None
    assert report.notes == ()
    assert value(witness, LEFT) is None


def test_a_session_setup_that_fails_has_the_teardowns_run(dsn: str, witness: Connection) -> None:
    report = load_spec(
        BLOCKED.replace("setup { BEGIN; } step waits", "setup { SELECT 1/0; } step waits")
    ).run(dsn)
    assert "setup of session waiter failed" in str(report.failure)
    assert (value(witness, LEFT), report.notes) == (None, ())


def test_ctrl_c_between_setup_and_teardown_of_a_late_permutation(dsn: str, witness: Connection) -> None:
    """The teardowns of the first are not run again."""
    spec = load_spec(BLOCKED + "permutation locks lets_go waits ends")

    def stop(event: Event) -> None:
        if event.step == "ends" and "holder" not in {event.session} and event.kind == "commit":
            seen.append(event)
            if len(seen) == 2:
                signal.raise_signal(signal.SIGINT)

    seen: list[Event] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        spec.run(dsn, on_event=stop)
    assert value(witness, LEFT) is None
    assert not hasattr(caught.value, "__notes__")


def test_ctrl_c_when_a_sessions_teardown_is_just_through(dsn: str, witness: Connection) -> None:
    """It is not run again, when what it removes is gone."""

    def stop(event: Event) -> None:
        if (event.session, event.step, event.kind) == ("waiter", "teardown", "acquired"):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        load_spec(BLOCKED).run(dsn, on_event=stop)
    assert value(witness, LEFT) is None
    assert not hasattr(caught.value, "__notes__")


def test_a_setup_block_that_fails_has_no_teardown_run(dsn: str, witness: Connection) -> None:
    """What it would remove may have been there before, and be the user's."""
    witness.execute(b"CREATE TABLE spec_second ()")
    report = load_spec(BLOCKED).run(dsn)
    assert "already exists" in str(report.failure)
    assert report.notes == (
        "The setup is not through, so the teardown was not run: what its first block made is left.",
    )
    assert value(witness, LEFT) == ["spec_first", "spec_second"]


def test_the_first_setup_block_leaves_nothing_when_it_fails(dsn: str, witness: Connection) -> None:
    report = load_spec("setup { CREATE TABLE spec_first (); SELECT 1/0; } session s step a {}").run(dsn)
    assert (value(witness, LEFT), report.notes) == (None, ())


def test_a_teardown_that_fails_after_ctrl_c_is_a_note_of_the_exception(dsn: str, witness: Connection) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        load_spec(TEARDOWN_FAILS).run(dsn, on_event=at_the_wait)
    assert caught.value.__notes__ == [
        'The teardown failed (table "spec_nowhere" does not exist): what the setup made may be left.'
    ]
    assert value(witness, LEFT) == ["spec_first", "spec_second"]


def test_a_teardown_that_fails_at_its_time_is_noted(dsn: str) -> None:
    report = load_spec(TEARDOWN_FAILS).run(dsn)
    assert report.failure is None
    assert report.notes == (
        'The teardown failed: ERROR:  table "spec_nowhere" does not exist. What it was to remove may be left.',
    )


def test_a_spec_without_a_teardown_says_what_it_leaves(dsn: str, witness: Connection) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        load_spec(re.sub("(?m)^teardown .*", "", BLOCKED, count=1)).run(dsn, on_event=at_the_wait)
    assert caught.value.__notes__ == ["The spec has no teardown: what its setup made is left."]
    assert value(witness, LEFT) == ["spec_first", "spec_second"]


def test_a_long_setup_is_cancelled_on_the_server_too(dsn: str, witness: Connection) -> None:
    setup = "setup { CREATE TABLE spec_first (); SELECT pg_sleep(600); } session s step a {}"

    def interrupt(_: str, __: int) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.3)

    def on_alarm(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            load_spec(setup).run(dsn, on_permutation=interrupt)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert "The setup was cancelled" in caught.value.__notes__[0]
    assert value(witness, LEFT) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_has_the_teardowns_run(
    number: signal.Signals, shop: Shop, spec: Callable[[str], str]
) -> None:
    with shop.started("--spec", spec(for_good(BLOCKED)), "--yes-run-sql") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "waits for" in line:
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert "Nothing is left on the server." in errors
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    with closing(psycopg.connect(shop.dsn)) as connection:
        assert connection.execute(LEFT).fetchone() == (None,)


def test_the_command_says_what_is_left_when_the_teardown_fails(
    shop: Shop, spec: Callable[[str], str]
) -> None:
    with shop.started("--spec", spec(for_good(TEARDOWN_FAILS)), "--yes-run-sql") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "waits for" in line:
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert "Nothing is left" not in errors
    assert "The teardown failed" in errors
    with closing(psycopg.connect(shop.dsn, autocommit=True)) as connection:
        assert connection.execute(LEFT).fetchone() == (["spec_first", "spec_second"],)
        connection.execute("DROP TABLE spec_first, spec_second")
