"""A callable session: a thread, the Django connections that are its own, and the callable that it runs."""

from __future__ import annotations

import inspect
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections

from django_lockstep.exceptions import UsageError
from django_lockstep.testing import driver
from django_lockstep.testing.gates import Steps, Stopped, gated
from django_lockstep.testing.source import source_of, source_of_thread
from django_lockstep.testing.timeouts import DeadlockTimeout
from django_lockstep.testing.watch import SETTINGS, Watch
from django_lockstep.testing.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from django.db.backends.base.base import BaseDatabaseWrapper

    from django_lockstep._core import Gate
    from django_lockstep.testing.reach import Reaches


_ENDED_BY_US = {"57014", "57P01"}
"""``query_canceled`` and ``admin_shutdown``: how the server tells what we have asked it for."""


@dataclass(frozen=True)
class Terms:
    """What a session must know before it takes a step, and need not know to connect."""

    deadlock_timeouts: tuple[float, float] | None
    """The ``deadlock_timeout``s that it shall set for itself (``DeadlockTimeout``); ``None``: the server's."""
    reaches: Reaches | None
    """What recognises statements, in a search."""


class Session:
    """One session; its thread and its connection can be kept for the next callable."""

    def __init__(self, name: str, using: str, terms: Future[Terms]) -> None:
        self.name = name
        self.using = using
        self.result: Any = None
        self.exception: BaseException | None = None
        self.aftermath: str | None = None
        """What its code raised because the run had ended it: no exception of its own."""
        self._is_cut_short = False
        self._terms = terms
        self._deadlock_timeout: DeadlockTimeout | None = None
        self._done = threading.Event()
        self._done.set()
        self._failure: BaseException | None = None
        self._connections: list[BaseDatabaseWrapper] = []
        self._steps: Steps | None = None
        self._pooled = False
        self._renewed = False
        self.watch: Watch | None = None
        self._worker = Worker(f"lockstep {name}")

    @property
    def ident(self) -> int | None:
        """The identifier of its thread."""
        return self._worker.ident

    def open(self) -> None:
        """Begin to connect; ``opened`` waits for it."""
        self._done.clear()
        self._worker.submit(self._connect)

    def end_opening(self, seconds: float) -> None:
        """Wait until it has connected, or not."""
        self._done.wait(seconds)

    def opened(self, seconds: float) -> bool:
        """Wait until it is connected, and raise what kept it from that; ``False`` when the time is over."""
        if not self._done.wait(seconds):
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def forget(self) -> None:
        """Let go of what the last callable returned or raised."""
        self.result = self.exception = self.aftermath = None
        self._is_cut_short = False

    def cut_short(self) -> None:
        """Take it that the run ends, whether it is through or not."""
        self._is_cut_short = not self.is_done()

    def perform(self, function: Callable[[], Any], gate: Gate) -> None:
        """Begin to run the callable at the gate."""
        self.forget()
        self._steps = None
        self._done.clear()
        self._worker.submit(lambda: self._perform(function, gate))

    def is_done(self) -> bool:
        """Whether its thread is through with what it was given."""
        return self._done.is_set()

    def took_no_step(self) -> bool:
        """Whether its code came to its end without any step."""
        return self.is_done() and self.exception is None and self._steps is not None and not self._steps.taken

    def where(self) -> str | None:
        """Return where its code is, if it has begun and is neither at its gate, nor within a step, nor through."""
        if self.is_done() or self._steps is None or not self._steps.is_elsewhere():
            return None
        return source_of_thread(self.ident) or "an unknown place"

    def abandon(self) -> None:
        """Cut the connections of a thread that does not come back. It ends when it comes to its gate."""
        for connection in self._connections:
            driver.shut_down(connection.connection)
        self._worker.submit(self._disconnect)
        self._worker.dismiss()

    def close(self) -> None:
        """Close the connections and end the thread, unless it does not come back."""
        if not self.is_done():
            self.abandon()
            return
        self._worker.submit(self._disconnect)
        self._worker.dismiss()
        self._worker.join()

    def _connect(self) -> None:
        try:
            every = [connections[alias] for alias in connections]
            self._connections = [connection for connection in every if connection.vendor == "postgresql"]
            connections[self.using].ensure_connection()
            self._agree(self._terms.result())
            self._prepare(connections[self.using])
            self._renewed = True
        except BaseException as error:  # noqa: BLE001 raised again by whoever waits for it
            self._failure = error
            self._disconnect()
        finally:
            self._done.set()

    def _agree(self, terms: Terms) -> None:
        if terms.deadlock_timeouts is not None:
            first, other = terms.deadlock_timeouts
            # A search waits until the server has looked for a deadlock, whoever waits.
            self._deadlock_timeout = DeadlockTimeout(first if terms.reaches is None else other, other)
        if terms.reaches is not None:
            self.watch = Watch(self.using, terms.reaches)

    def _prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Connect, unless it is connected, and set what the session needs."""
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_backend_pid(), current_setting('is_superuser'), "
                "current_setting('default_transaction_isolation')"
            )
            pid, superuser, isolation = cursor.fetchone()
            raw = connection.connection
            self._pooled = pid != driver.backend_pid(raw)
            if self.watch is not None:
                tells = superuser == "on" and hasattr(raw, "add_notice_handler") and not self._pooled
                self.watch.listen(raw, isolation, tells=tells)
            if self._pooled:
                return  # a setting would be left on somebody else's connection
            settings = self._settings()
            if self.watch is not None and tells:
                settings.update(SETTINGS)
            each = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            cursor.execute(f"SELECT {each}", [text for setting in settings.items() for text in setting])
        if self._deadlock_timeout is not None:
            self._deadlock_timeout.begins(connection.connection)

    def _settings(self) -> dict[str, str]:
        settings = {"application_name": f"lockstep {self.name}"}
        if self._deadlock_timeout is not None:
            settings["deadlock_timeout"] = self._deadlock_timeout.at_start
        return settings

    def _renew(self, connection: BaseDatabaseWrapper) -> None:
        """Leave nothing of what a callable began, set, locked, listened to or made for its session.

        A lock of the session's (``pg_advisory_lock``) would keep the others waiting for somebody who is through.
        """
        raw = connection.connection
        try:
            idle = not raw.closed and driver.transaction_status(raw) == driver.IDLE
            if self._pooled or not idle or connection.in_atomic_block:
                connection.close()
                return
            if self.watch is not None and self.watch.clean:
                self._renewed = True
                return
            with connection.cursor() as cursor:
                cursor.execute("DISCARD ALL")
            connection.init_connection_state()
        except Exception:  # noqa: BLE001 whatever is wrong with it, another one is opened
            with suppress(Exception):
                connection.close()

    def _perform(self, function: Callable[[], Any], gate: Gate) -> None:
        try:
            if not self._renewed:
                self._prepare(connections[self.using])
            self._renewed = False
            self._steps = steps = Steps(
                gate,
                source_of(function),
                pooled=self._pooled,
                deadlock_timeout=self._deadlock_timeout,
                watch=self.watch,
            )
            if self.watch is not None:
                self.watch.begin(gate)
            with ExitStack() as stack:
                for connection in self._connections:
                    stack.enter_context(gated(connection, steps))
                self.result = _finished(function())
                self._end_what_is_open()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 what a callable raises is told by the report
            if self._is_cut_short and _comes_of_ending(error):
                self.aftermath = (
                    f"{self.name} was ended with the run, and its code met that as {_told(error)}: that is no error of "
                    "its own."
                )
            else:
                self.exception = error
        finally:
            if self.watch is not None:
                self.watch.end()
            self._tidy()
            self._done.set()
            raised = self.exception
            if raised is None:
                gate.leave()
            else:
                refused = driver.server_error(raised)
                gate.leave(_told(raised), driver.sqlstate(refused) if refused else None)

    def _end_what_is_open(self) -> None:
        """Roll back a transaction that the callable has left open, as Django does when it closes the connection."""
        for connection in self._connections:
            if driver.is_in_transaction(connection.connection) and not connection.in_atomic_block:
                connection.close()
                self.aftermath = (
                    f"{self.name} left its transaction open, so it was rolled back, as when Django closes the "
                    "connection. End it with transaction.commit(), or use transaction.atomic()."
                )

    def _tidy(self) -> None:
        """Keep the connection for the next callable, as good as new; close any other."""
        for connection in self._connections:
            if connection.connection is None:
                continue
            if connection.alias == self.using:
                self._renew(connection)
            else:
                with suppress(Exception):  # it may be broken; then there is nothing to close
                    connection.close()

    def _disconnect(self) -> None:
        for connection in connections.all(initialized_only=True):
            with suppress(Exception):  # it may be broken; then there is nothing to close
                if getattr(connection, "pool", None) and connection.connection is not None:
                    self._renew(connection)  # psycopg's pool hands it to others of this process
                connection.close()
            del connections[connection.alias]


def _told(error: BaseException) -> str:
    text, kind = driver.text_of(error), type(error).__name__
    return f"{kind}: {text}" if text else kind


def _comes_of_ending(error: BaseException | None) -> bool:
    """Whether an exception comes of our having closed the gate, cancelled the statement or cut the connection."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, Stopped) or driver.sqlstate(error) in _ENDED_BY_US:
            return True
        if isinstance(error, DatabaseError | InterfaceError) and driver.server_error(error) is None:
            return True  # the connection is gone
        error = error.__cause__ or error.__context__
    return False


def _finished(result: Any) -> Any:
    """Return what a callable returned, unless it has only begun."""
    if inspect.iscoroutine(result):
        result.close()
        hint = "Give async_to_sync(…) of asgiref.sync around it."
        raise UsageError(f"The callable returned a coroutine, which has run nothing. {hint}", hint=hint)
    return result
