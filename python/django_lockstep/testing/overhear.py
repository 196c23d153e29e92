"""Listening to code under test: an opponent hears every step of its connections before it is taken."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from django.db import connections
from django.db.backends.signals import connection_created

from django_lockstep.testing.gates import Steps, Stopped, gated
from django_lockstep.testing.worker import is_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

    from django_lockstep._core import Gate, Opponent


_under_test: list[BaseDatabaseWrapper] = []
"""The connections whose own thread has a block open at this moment. Other threads may have theirs."""


def is_under_test(connection: BaseDatabaseWrapper) -> bool:
    """Whether this connection's own thread has a block open."""
    return any(other is connection for other in _under_test)


class Overhearing:
    """Tells an opponent what the connections to one alias do: this thread's, and those that are opened meanwhile."""

    def __init__(self, opponent: Opponent, using: str) -> None:
        self._opponent = opponent
        self._using = using
        self._own = connections[using]
        self._heard: list[BaseDatabaseWrapper] = []
        self._doors: list[_Door] = []
        self._ends = ExitStack()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin to listen."""
        _under_test.append(self._own)
        connection_created.connect(self._created, weak=False)
        self._listen_to(self._own)

    def end(self) -> None:
        """Leave every connection as it was."""
        connection_created.disconnect(self._created)
        _under_test[:] = [other for other in _under_test if other is not self._own]
        with self._lock:
            self._ends.close()
        for door in self._doors:
            door.leave()

    def _created(self, connection: BaseDatabaseWrapper, **_more: object) -> None:
        if connection.alias == self._using and not is_worker():  # a session of a run has its gate already
            self._listen_to(connection)

    def _listen_to(self, connection: BaseDatabaseWrapper) -> None:
        with self._lock:
            if not any(heard is connection for heard in self._heard):
                door = _Door(self._opponent)
                self._heard.append(connection)
                self._doors.append(door)
                self._ends.enter_context(gated(connection, _FreeSteps(door)))


class _FreeSteps(Steps):
    """Steps that go on when the opponent is over: the code is not ours to stop."""

    def __init__(self, door: _Door) -> None:
        super().__init__(cast("Gate", door), None)

    def take(
        self,
        kind: str,
        name: str,
        statement: str,
        act: Callable[[], Any],
        rows: Callable[[], int] | None = None,
        parameters: str | None = None,
    ) -> Any:
        try:
            return super().take(kind, name, statement, act, rows, parameters)
        except Stopped:
            return act()


class _Door:
    """A gate that is there from the first step on: a connection that does nothing is none of the code's."""

    def __init__(self, opponent: Opponent) -> None:
        self._opponent = opponent
        self._gate: Gate | None = None
        self._is_over = False

    def arrive(
        self, kind: Any, name: str, statement: str, source: str | None, reach: Any, parameters: str | None
    ) -> bool:
        gate = self._open()
        return gate is not None and gate.arrive(kind, name, statement, source, reach, parameters)

    def locate(self, backend_pid: int) -> None:
        if gate := self._open():
            gate.locate(backend_pid)

    def finish(self, rows: int | None = None) -> None:
        if self._gate is not None:
            self._gate.finish(rows)

    def fail(self, sqlstate: str, message: str, **fields: Any) -> None:
        if self._gate is not None:
            self._gate.fail(sqlstate, message, **fields)

    def leave(self) -> None:
        self._is_over = True
        if self._gate is not None:
            self._gate.leave()

    def _open(self) -> Gate | None:
        if self._gate is None and not self._is_over:
            self._gate = self._opponent.admit()
            self._is_over = self._gate is None
        return self._gate
