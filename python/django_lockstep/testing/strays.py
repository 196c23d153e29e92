"""Connections that threads of the code's own have opened during a run, and have not closed."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from django.db.backends.signals import connection_created

from django_lockstep.testing import driver
from django_lockstep.testing.source import nearest_source
from django_lockstep.testing.worker import is_worker

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class _Opened(NamedTuple):
    connection: BaseDatabaseWrapper
    thread: threading.Thread
    source: str | None


class Strays:
    """Takes down what is opened during one run by threads that have begun since.

    What it has taken down it keeps alive, so that whether something is told of does not depend on
    the garbage collector, which would close it some time.
    """

    def __init__(self) -> None:
        self._opened: list[_Opened] = []
        self._known: set[threading.Thread] = set()

    def begin(self) -> None:
        """Begin to take down."""
        self._known = set(threading.enumerate())
        connection_created.connect(self._created, weak=False)

    def end(self) -> None:
        """Let go of everything."""
        connection_created.disconnect(self._created)
        self._opened.clear()
        self._known.clear()

    def notes(self) -> list[str]:
        """Return a sentence for each that is still open. Where its thread has ended, it is closed: it is nobody's."""
        return [note for opened in self._opened if (note := _note_on(opened)) is not None]

    def _created(self, connection: BaseDatabaseWrapper, **_more: object) -> None:
        thread = threading.current_thread()
        if connection.vendor == "postgresql" and not is_worker() and thread not in self._known:
            self._opened.append(_Opened(connection, thread, nearest_source()))


def _note_on(opened: _Opened) -> str | None:
    connection, thread, source = opened
    raw = connection.connection
    if raw is None or raw.closed:
        return None
    place = f" at {source}" if source is not None else ""
    left = (
        f'Thread "{thread.name}", which began during the run, opened a connection{place} '
        f"(backend {driver.backend_pid(raw)}) and did not close it"
    )
    cure = "Have its code end with connections.close_all(): a test database with open connections cannot be dropped."
    if thread.is_alive() or connection.allow_thread_sharing or getattr(connection, "pool", None):
        return f"{left}; it is not the run's to close. {cure}"
    with suppress(Exception):  # it may be broken; then there is nothing to close
        raw.close()
    return f"{left}; as the thread has ended, the run closed it. {cure}"
