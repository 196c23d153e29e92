"""A gate before every step that a thread takes on its Django connections. The code that takes them is not edited.

Statements pass through Django's own ``execute_wrapper``, which covers ``executemany``, savepoints and ``on_commit``
callbacks as well. COMMIT, ROLLBACK, closing in a transaction, stored procedures, COPY and the fetches of server-side
cursors do not, so they are overlaid on the connection object itself.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django_lockstep.testing import driver
from django_lockstep.testing.source import nearest_source
from django_lockstep.testing.statement import ends_transaction, name_of, shown, text_of
from django_lockstep.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    from django_lockstep._core import Gate
    from django_lockstep.testing.reach import Reach
    from django_lockstep.testing.timeouts import DeadlockTimeout


class Stopped(BaseException):
    """The run is over. Not an ``Exception``, so that code under test does not take it for one of its own."""


class Steps:
    """What one thread does, a step at a time."""

    def __init__(
        self,
        gate: Gate,
        fallback: str | None,
        *,
        pooled: bool = False,
        deadlock_timeout: DeadlockTimeout | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.gate = gate
        self.watch = watch
        self.reach: Reach | None = None
        """What the next step touches, where that is known."""
        self.fallback = fallback
        self.pooled = pooled
        self.deadlock_timeout = deadlock_timeout
        self.at_gate = False
        self.taken = 0
        self._raw: Any = None
        self._pid: int | None = None
        self._within = False

    def take(
        self,
        kind: str,
        name: str,
        statement: str,
        act: Callable[[], Any],
        rows: Callable[[], int] | None = None,
        parameters: str | None = None,
    ) -> Any:
        """Wait at the gate, do it, and tell what became of it.

        What a step does within itself (a wrapper of the user's own that asks something) is part of it.
        """
        if self._within:
            return act()
        source = nearest_source() or self.fallback
        self.at_gate = True
        released = self.gate.arrive(kind, name, statement, source, self.reach, parameters)
        self.at_gate = False
        if not released:
            if kind == "rollback":
                return act()
            raise Stopped
        self._within = True
        self.taken += 1
        try:
            self._prepare(kind)
            result = act()
        except BaseException as error:
            self._forget()
            self._tell(error)
            raise
        finally:
            self._within = False
        if kind == "rollback" or name.startswith("ROLLBACK"):
            self._forget()
        found = rows() if rows is not None else -1
        self.gate.finish(found if found >= 0 else None)
        return result

    def is_elsewhere(self) -> bool:
        """Whether the thread is neither at its gate nor within a step."""
        return not self.at_gate and not self._within

    def locate(self, raw: Any) -> None:
        """Tell which connection of the driver's the next step is taken on."""
        self._raw = raw
        pid = None if self.pooled else driver.backend_pid(raw)
        if pid != self._pid:
            self._pid = pid
            self.gate.locate(pid)

    def _prepare(self, kind: str) -> None:
        """Do what must be done on the connection just before a step."""
        if self.pooled and kind in {"opening", "alone"}:
            self.gate.locate(None)
            if kind == "opening":
                self.gate.locate(self._asked())
        if self.deadlock_timeout is not None and kind != "rollback":
            self.deadlock_timeout.choose(self._raw, others_wait=self.gate.others_wait)

    def _forget(self) -> None:
        if self.deadlock_timeout is not None:
            self.deadlock_timeout.forget()

    def _asked(self) -> int:
        """Behind a pooler only the transaction itself knows its backend."""
        with self._raw.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        return int(pid)

    def _tell(self, error: BaseException) -> None:
        refused = driver.server_error(error)
        if refused is None:
            text = driver.text_of(error) or type(error).__name__
            if self._raw.closed:
                self.gate.lose(text)
                return
            self.gate.fail("", text, severity=None, detail=None, hint=None, context=None)
            return
        diag = getattr(refused, "diag", None)
        self.gate.fail(
            driver.sqlstate(refused) or "",
            getattr(diag, "message_primary", None) or str(refused),
            severity=getattr(diag, "severity_nonlocalized", None),
            detail=getattr(diag, "message_detail", None),
            hint=getattr(diag, "message_hint", None),
            context=getattr(diag, "context", None),
        )


@contextmanager
def gated(connection: BaseDatabaseWrapper, steps: Steps) -> Iterator[None]:
    """Put the gate before all that is done on a connection."""
    gates = _Gates(connection, steps)
    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(gates.execute))
        for name in ("_commit", "_rollback", "_close", "make_cursor", "make_debug_cursor"):
            overlay = partial(getattr(gates, name.lstrip("_")), getattr(connection, name))
            stack.callback(vars(connection).pop, name, None)
            setattr(connection, name, overlay)
        yield


class _Gates:
    def __init__(self, connection: BaseDatabaseWrapper, steps: Steps) -> None:
        self.connection = connection
        self.steps = steps

    def execute(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """Django's execute wrapper."""
        text = text_of(sql, self.connection.connection)
        cursor = context["cursor"]
        return self._take(
            text,
            text,
            lambda: execute(sql, params, many, context),
            lambda: cursor.rowcount,
            lambda watch: watch.reach(self.connection.alias, text, params, many=many),
            shown(params, many=many),
        )

    def commit(self, commit: Callable[[], Any]) -> Any:
        """COMMIT, where there is something to commit."""
        return self._end("commit", "COMMIT", commit)

    def rollback(self, rollback: Callable[[], Any]) -> Any:
        """ROLLBACK, where there is something to roll back."""
        return self._end("rollback", "ROLLBACK", rollback)

    def close(self, close: Callable[[], Any]) -> Any:
        """Close; in a transaction that is a ROLLBACK."""
        return self._end("rollback", "ROLLBACK", close)

    def make_cursor(self, make: Callable[[Any], Any], cursor: Any) -> Any:
        """Gate what a cursor does besides ``execute`` and ``executemany``."""
        made = make(cursor)
        callproc = made.callproc
        made.callproc = lambda name, *args, **kwargs: self._take(
            f"CALL {name}", f"CALL {name}", lambda: callproc(name, *args, **kwargs), lambda: cursor.rowcount
        )
        if getattr(cursor, "name", None):
            made.cursor = _ServerSide(cursor, self._take)
        elif hasattr(cursor, "copy"):
            made.copy = partial(self._copy, cursor)
        return made

    make_debug_cursor = make_cursor

    @contextmanager
    def _copy(self, cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        text = text_of(statement, self.connection.connection)
        copying = cursor.copy(statement, *args, **kwargs)
        copy = self._take("COPY", text, copying.__enter__, lambda: -1)
        with ExitStack() as stack:
            stack.push(copying.__exit__)
            yield copy

    def _take(
        self,
        text: str,
        statement: str,
        act: Callable[[], Any],
        rows: Callable[[], int],
        reach: Callable[[Watch], Reach | None] = Watch.unknown,
        parameters: str | None = None,
    ) -> Any:
        raw = self.connection.connection
        idle = driver.transaction_status(raw) == driver.IDLE
        kind = "statement"
        if idle:
            kind = "alone" if raw.autocommit else "opening"
        elif ending := ends_transaction(text):
            kind = ending
        self.steps.locate(raw)
        watch = self.steps.watch
        if watch is None:
            return self.steps.take(kind, name_of(text), statement, act, rows, parameters)
        watch.before(self.connection.alias, raw, kind, self.steps.gate)
        self.steps.reach = reach(watch)
        result = self.steps.take(kind, name_of(text), statement, act, rows, parameters)
        watch.look(self.connection.alias, raw, rows())
        watch.after(self.connection.alias, raw, kind, text, self.steps.gate)
        return result

    def _end(self, kind: str, name: str, act: Callable[[], Any]) -> Any:
        raw = self.connection.connection
        if not driver.is_in_transaction(raw):
            return act()
        self.steps.locate(raw)
        self.steps.reach = None
        if self.steps.watch is not None:
            self.steps.watch.count()
        return self.steps.take(kind, name, name, act)


class _ServerSide:
    """A server-side cursor: each fetch is a step, for ``SELECT … FOR UPDATE`` locks rows as they are fetched."""

    def __init__(self, cursor: Any, take: Callable[..., Any]) -> None:
        self._cursor = cursor
        self._take = take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"_cursor", "_take"}:
            object.__setattr__(self, name, value)
        else:
            setattr(self._cursor, name, value)

    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany(self._cursor.itersize):
            yield from rows

    def fetchone(self) -> Any:
        """Fetch a row."""
        return self._fetch(self._cursor.fetchone)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch some rows."""
        return self._fetch(partial(self._cursor.fetchmany, *args, **kwargs))

    def fetchall(self) -> Any:
        """Fetch the rest."""
        return self._fetch(self._cursor.fetchall)

    def _fetch(self, fetch: Callable[[], Any]) -> Any:
        name = f"FETCH {self._cursor.name}"
        fetched: list[Any] = []

        def act() -> Any:
            fetched.append(fetch())
            return fetched[0]

        def rows() -> int:
            return len(fetched[0]) if isinstance(fetched[0], list) else int(fetched[0] is not None)

        return self._take("FETCH", name, act, rows)
