"""What the tests look at besides the report: the server, from a connection of its own, and this process."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Event

FAST = 0.01
"""A ``deadlock_timeout`` for tests that are not about it; a superuser may set it."""
ENDLESS = 600.0
"""A ``deadlock_timeout`` that no test lives to see: whoever waits, waits until something else happens."""

RUNS = int(os.environ.get("LOCKSTEP_TEST_RUNS", "20"))
"""How often what must happen every time is done; 200 before it is believed."""

SECRET = "s3cr3t'p@ss wörd%"
"""The password of the role ``guarded`` of the password server; must never be seen."""

Connection = psycopg.Connection[tuple[Any, ...]]


def wait_until(condition: Callable[[], object], what: str = "it", *, seconds: float = 30) -> None:
    """Return when the condition holds; the bound is only there for a defect."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)


def value(witness: Connection, sql: str, *parameters: object) -> Any:
    """Return the first column of the first row."""
    row = witness.execute(sql.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def leftovers(witness: Connection) -> list[str]:
    """Return what a run has left on the server: schemas, sessions, advisory locks."""
    rows = witness.execute(
        """
        SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'lockstep%'
        UNION ALL
        SELECT 'session ' || application_name || ' ' || coalesce(state, '') FROM pg_stat_activity
        WHERE application_name LIKE 'lockstep%'
        UNION ALL
        SELECT format('advisory lock %s %s', classid, objid) FROM pg_locks WHERE locktype = 'advisory'
        """
    )
    return [row[0] for row in rows]


def nothing_left(witness: Connection) -> None:
    """Return when a run's last backend is gone too: the server notices a closed connection a little later."""
    wait_until(lambda: not leftovers(witness), f"nothing to be left, but {leftovers(witness)}")


def schemas(witness: Connection) -> list[str]:
    """Return the scratch schemas."""
    rows = witness.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'lockstep%' ORDER BY 1")
    return [row[0] for row in rows]


def own_threads() -> int:
    """Return how many threads this process has, Rust's included."""
    return len(list(Path("/proc/self/task").iterdir()))


def own_files() -> list[str]:
    """Return what this process has open."""
    opened = []
    for file in Path("/proc/self/fd").iterdir():
        try:
            opened.append(str(file.readlink()))
        except OSError:  # the one that lists the folder
            continue
    return sorted(opened)


class NothingLeftHere:
    """Asserts that this process ends a piece of work with no more threads and open files than before."""

    def __init__(self) -> None:
        self.threads = own_threads()
        self.files = own_files()

    def check(self) -> None:
        """Wait for what is just going away."""
        wait_until(lambda: own_threads() <= self.threads, "the threads to end")
        wait_until(
            lambda: len(own_files()) <= len(self.files),
            f"the files to be closed: {set(own_files()) - set(self.files)}",
        )


class At:
    """An ``on_event`` that does something once, at the first event of that kind, and keeps all events."""

    def __init__(
        self,
        kind: str,
        action: Callable[[Event], object],
        *,
        session: str | None = None,
        step: str | None = None,
    ) -> None:
        self.wanted = {"kind": kind, "session": session, "step": step}
        self.action = action
        self.done = False
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.seen.append(event)
        if not self.done and all(
            want is None or getattr(event, name) == want for name, want in self.wanted.items()
        ):
            self.done = True
            self.action(event)


def tables_made(dsn: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())
