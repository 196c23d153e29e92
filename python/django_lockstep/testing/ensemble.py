"""Callable sessions and their observer, kept for as many runs as are wanted."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from django_lockstep._core import Together
from django_lockstep.exceptions import CallTimeout
from django_lockstep.testing.session import Session, Terms
from django_lockstep.testing.strays import Strays
from django_lockstep.testing.threads import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from django_lockstep import Event, Report
    from django_lockstep._core import Gate
    from django_lockstep.testing.reach import Reaches
    from django_lockstep.testing.watch import Watch as SearchWatch

_FAREWELL = 1.0
"""For so many seconds sessions are waited for that are still connecting when there is no use for them any more."""


class Ensemble:
    """Named sessions, each a thread with a connection of its own, watched by one more connection.

    A context manager: when it ends, so have the threads and the connections. What is given to ``run`` is one callable
    for each session; it can be called again and again. For another schedule than those of ``run``, call
    ``together.…`` with ``start`` and ``collect`` between ``cast`` and ``settle``. With ``reaches``, which is called
    while the sessions connect, they tell what a search wants to know of them.
    """

    def __init__(
        self,
        names: Sequence[str],
        dsn: str,
        using: str,
        timeout: float,
        reaches: Callable[[], Reaches] | None = None,
    ) -> None:
        self.names = list(names)
        self.using = using
        self.timeout = timeout
        self._dsn = dsn
        self._reaches = reaches
        self._together: Together | None = None
        self._terms: Future[Terms] = Future()
        self._functions: Sequence[Callable[[], Any]] = ()
        self._sessions: list[Session] = []
        self._left_behind: set[int] = set()
        self._whereabouts: list[str | None] = []
        self._watch = Watch()
        self._strays = Strays()

    def __enter__(self) -> Ensemble:
        try:
            # First, for it knows what to say of a pooler that has no room for the sessions beside it.
            self._together = Together(self._dsn, self.timeout, threads=self.threads)
            for name in self.names:
                self._sessions.append(self._hired(name))
            reaches = self._reaches and self._reaches()
            self._terms.set_result(Terms(self._together.deadlock_timeouts, reaches))
            self._await_opened()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def together(self) -> Together:
        """The observer."""
        if self._together is None:
            raise RuntimeError("an ensemble is opened before it is used")
        return self._together

    def watches(self) -> list[SearchWatch]:
        """Return what is watched of each session in a search."""
        return [session.watch for session in self._sessions if session.watch is not None]

    def run(
        self,
        functions: Sequence[Callable[[], Any]],
        order: list[int] | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Report:
        """Run one callable in each session: in turns, or by the sessions' numbers in ``order``, then in turns."""
        self.cast(functions)
        try:
            return self.together.run(
                self.names, self.start, self.stopping, self.collect, order, self.timeout, on_event
            )
        finally:
            self.settle()

    def cast(self, functions: Sequence[Callable[[], Any]]) -> None:
        """Say what the sessions shall run next; whoever was left behind is replaced."""
        for number in self._left_behind:
            self._sessions[number] = self._hired(self.names[number])
        self._left_behind.clear()
        self._await_opened()
        self._whereabouts = []
        self._watch = Watch()
        self._functions = functions
        self._strays.begin()

    def start(self, number: int, gate: Gate) -> None:
        """Start a session at its gate."""
        self._sessions[number].perform(self._functions[number], gate)

    def threads(self) -> tuple[list[str | None], bool, list[tuple[int, str | None]]]:
        """Return what the threads of this process are at."""
        return self._watch.look(self._sessions)

    def stopping(self) -> None:
        """Take down where everybody is, before the gates are closed."""
        self._whereabouts = [session.where() for session in self._sessions]
        for session in self._sessions:
            session.cut_short()

    def collect(self) -> tuple[list[str], list[tuple[Any, BaseException | None]]]:
        """Return what only Python knows of a run that is over: sentences for its notes, results and exceptions."""
        notes = []
        for session, where in zip(self._sessions, self._whereabouts, strict=False):
            if where is not None:
                behind = (
                    ""
                    if session.is_done()
                    else " Its connection was ended, its thread (a daemon) left behind."
                )
                notes.append(
                    f"{session.name} came to no other gate: when the run was ended it was at {where}.{behind}"
                )
        notes += [
            f"{session.name} took no step: its code asked the server nothing in its own thread by Django's connections."
            for session in self._sessions
            if session.took_no_step() and not self._whereabouts  # else it was not given the time
        ]
        notes += [session.aftermath for session in self._sessions if session.aftermath is not None]
        notes += self._strays.notes()
        return notes, [(session.result, session.exception) for session in self._sessions]

    def settle(self) -> None:
        """After a run: whoever does not come back is left behind."""
        self._strays.end()
        for number, session in enumerate(self._sessions):
            if not session.is_done():
                session.abandon()
                self._left_behind.add(number)
            session.forget()
        self._functions = ()

    def close(self) -> None:
        """End every thread and connection."""
        if self._terms.cancel():
            for session in self._sessions:
                session.end_opening(_FAREWELL)
        for number, session in enumerate(self._sessions):
            if number not in self._left_behind:
                session.close()
        self._sessions = []
        if self._together is not None:
            self._together.close()

    def _hired(self, name: str) -> Session:
        session = Session(name, self.using, self._terms)
        session.open()
        return session

    def _await_opened(self) -> None:
        patience = self.together.pooler_patience
        deadline = time.monotonic() + min(self.timeout, patience or self.timeout)
        for session in self._sessions:
            if not session.opened(max(0.0, deadline - time.monotonic())):
                if patience is not None:
                    Together.refuse_small_pool(session.name, len(self.names))
                raise CallTimeout(
                    f"The timeout ({self.timeout} s) ran out while session {session.name} was connecting. "
                    "Give the call more time (timeout=…), or look at why the server is slow to answer."
                )
