"""``provoke_deadlock``: an opponent that gives the code under test a real 40P01."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error, connections

from django_lockstep._core import Opponent, milliseconds
from django_lockstep.exceptions import LockstepError, NotSurvived, Refused, UsageError
from django_lockstep.testing import driver
from django_lockstep.testing.guards import dsn_of_free_alias
from django_lockstep.testing.holding import demands
from django_lockstep.testing.overhear import Overhearing, is_under_test

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from django_lockstep._core import Report
    from django_lockstep.testing.holding import Lockable

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_SETTINGS = ("search_path", "role")
"""What the opponent must have in common with the code's connection to find the same tables."""


class provoke_deadlock:  # noqa: N801 - a context manager and a decorator, called like a function
    """Have PostgreSQL abort the code in the block with a real 40P01, ``times`` times.

    An opponent, a session on a connection of its own, holds what ``holding`` names. When the server says that the
    code waits for it, the opponent asks for what ``wanting`` names, which the code must hold by then: the cycle is
    closed, and PostgreSQL aborts the code, every time. Then the opponent gives that back, and does it again at the
    code's next attempt; when the code has had its 40P01s, the opponent steps aside at the next attempt. Nothing is
    changed, and nothing is mocked.

    Use it around the code, or as a decorator; then ``holding`` and ``wanting`` may be functions, called each time.

    Args:
        holding: What the code asks for second: a queryset (with its own ``select_for_update(of=…, no_key=…)``), an
            instance, a model (all its rows), a ``TableLock`` or an ``AdvisoryLock``, or a function that returns one.
        wanting: What the code asks for first, likewise.
        times: How many attempts are aborted.
        using: The database alias.
        once: Counts something that must happen exactly once while the block runs, such as ``lambda: len(mail.outbox)``.
        timeout: Seconds after which the opponent steps aside, whatever has happened.
        deadlock_timeout: Seconds for this thread's connection while the block runs, to be quicker than the server's
            (usually 1 s). Only a role that may set it can (superuser, or ``GRANT SET ON PARAMETER``).
        strict: Whether a finding is raised as ``NotSurvived`` at the end of the block.

    After the block: ``deadlocks``, how often the code got 40P01; ``attempts``, how often it was seen to ask for what
    is held; ``findings``, the names of what was found out; ``report``, a ``Report`` with the opponent's and the code's
    events; ``explanation``, the findings in words.

    Raises:
        UsageError: The arguments make no sense, there are no such rows, or both are the same.
        Refused: Inside ``atomic()``, a ``TestCase``, another such block on the alias, or a function that is run in
            lock-step; the rows are locked by somebody else; or the connection was inherited by a fork.
        NotSurvived: There is a finding.
    """

    def __init__(
        self,
        *,
        holding: Lockable | Callable[[], Lockable],
        wanting: Lockable | Callable[[], Lockable],
        times: int = 1,
        using: str = DEFAULT_DB_ALIAS,
        once: Callable[[], int] | None = None,
        timeout: float = 30.0,
        deadlock_timeout: float | None = None,
        strict: bool = True,
    ) -> None:
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            hint = "Give a whole number, 1 or more."
            raise UsageError(f"times cannot be {times!r}. {hint}", hint=hint)
        if once is not None and not callable(once):
            hint = "Give a function that counts, such as lambda: len(mail.outbox)."
            raise UsageError(f"once cannot be {once!r:.80}. {hint}", hint=hint)
        if not isinstance(strict, bool):
            hint = "Give True or False."
            raise UsageError(f"strict cannot be {strict!r:.80}. {hint}", hint=hint)
        self.deadlocks = 0
        self.attempts = 0
        self.findings: tuple[str, ...] = ()
        self.report: Report | None = None
        self._arguments: dict[str, Any] = {
            "holding": holding,
            "wanting": wanting,
            "times": times,
            "using": using,
            "once": once,
            "timeout": timeout,
            "deadlock_timeout": deadlock_timeout,
            "strict": strict,
        }
        self._running: _Running | None = None

    @property
    def explanation(self) -> str:
        """What was found out, in words."""
        return self.report.explanation if self.report is not None else "The block is not over."

    def __enter__(self) -> provoke_deadlock:
        if self._running is not None:
            hint = "Make another one."
            raise UsageError(f"This provoke_deadlock is at work already. {hint}", hint=hint)
        self._running = _Running(self._arguments)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        running, self._running = cast("_Running", self._running), None
        try:
            self.report, self.deadlocks, self.attempts, self.findings = running.end(raised)
        except LockstepError as error:
            if raised is None:
                raise
            _note(raised, str(error))
            return
        if raised is not None and not isinstance(raised, Exception):
            self.findings = ()  # it was interrupted, which says nothing about the code
        if self.findings:
            self._judge(raised)

    def _judge(self, raised: BaseException | None) -> None:
        if raised is not None:
            _note(raised, self.told())
        elif self._arguments["strict"]:
            raise NotSurvived(self.told(), sqlstate="40P01" if self.deadlocks else None)

    def told(self) -> str:
        """Return the findings and the timeline, as a failed assertion shows them."""
        timeline = self.report.to_text() if self.report is not None else ""
        return f"{self.explanation}\n\n{timeline}"

    def __call__(self, function: _Function) -> _Function:
        """Run the function with an opponent of its own each time."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def provoked_async(*args: Any, **kwargs: Any) -> Any:
                with type(self)(**self._arguments):
                    return await function(*args, **kwargs)

            return cast("_Function", provoked_async)

        @wraps(function)
        def provoked(*args: Any, **kwargs: Any) -> Any:
            with type(self)(**self._arguments):
                return function(*args, **kwargs)

        return cast("_Function", provoked)


class _Running:
    """One block in progress."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        using = arguments["using"]
        dsn = dsn_of_free_alias(using, "provoke_deadlock")
        self._once = arguments["once"]
        self._connection = connections[using]
        if is_under_test(connections[using]):
            hint = "Leave the one block before you enter the other; for more 40P01s, give times=…."
            raise Refused(
                f'This thread has an opponent on database alias "{using}" already: both would lead its code. {hint}',
                hint=hint,
            )
        holding, wanting = demands(arguments["holding"], arguments["wanting"], using)
        self._before = self._count()
        self._usual_timeout: str | None = None
        deadlock_timeout = arguments["deadlock_timeout"]
        if deadlock_timeout is not None:
            self._usual_timeout = self._set_deadlock_timeout(deadlock_timeout)
        try:
            self._opponent = Opponent(
                dsn,
                holding,
                wanting,
                times=arguments["times"],
                timeout=arguments["timeout"],
                settings=self._settings(),
                deadlock_timeout=deadlock_timeout and (self._backend_pid(), deadlock_timeout),
            )
        except BaseException:
            self._restore()
            raise
        self._overhearing = Overhearing(self._opponent, using)
        self._overhearing.begin()

    def end(self, raised: BaseException | None) -> tuple[Report, int, int, tuple[str, ...]]:
        try:
            self._overhearing.end()
        finally:
            try:
                self._opponent.dismiss()
            finally:
                self._restore()
        happened = None
        if raised is None and self._before is not None:
            happened = cast("int", self._count()) - self._before
        told = f"{type(raised).__name__}: {raised}".splitlines()[0] if raised is not None else None
        report, deadlocks, attempts, findings = self._opponent.verdict(
            told,
            raised_deadlock=is_deadlock(raised),
            raised_aborted=is_aborted(raised),
            happened=happened,
        )
        return report, deadlocks, attempts, tuple(findings)

    def _count(self) -> int | None:
        if self._once is None:
            return None
        count = self._once()
        if not isinstance(count, int):
            hint = "Return how often it has happened so far."
            raise UsageError(f"once must count, and returned {count!r:.80}. {hint}", hint=hint)
        return count

    def _settings(self) -> list[tuple[str, str]]:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s), current_setting(%s)", list(_SETTINGS))
            values = cursor.fetchone() or ()
        return [pair for pair in zip(_SETTINGS, values, strict=False) if pair != ("role", "none")]

    def _backend_pid(self) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int((cursor.fetchone() or (0,))[0])

    def _set_deadlock_timeout(self, seconds: float) -> str:
        wanted = f"{milliseconds('deadlock_timeout', seconds)}ms"
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('deadlock_timeout')")
                usual = str((cursor.fetchone() or ("",))[0])
                cursor.execute("SELECT set_config('deadlock_timeout', %s, false)", [wanted])
        except DatabaseError as error:
            hint = "Leave it out, or GRANT SET ON PARAMETER deadlock_timeout to the role (PostgreSQL 15 and later)."
            message = f"This connection may not set deadlock_timeout to {seconds} s. {hint}"
            raise Refused(message, sqlstate=_sqlstate(error), hint=hint) from error
        return usual

    def _restore(self) -> None:
        if self._usual_timeout is None:
            return
        # A connection that was closed in the block has its usual one again.
        with suppress(Error), self._connection.cursor() as cursor:
            cursor.execute("SELECT set_config('deadlock_timeout', %s, false)", [self._usual_timeout])


def is_deadlock(error: BaseException | None) -> bool:
    """Whether PostgreSQL's 40P01 is somewhere behind the exception."""
    return _is_behind(error, "40P01")


def is_aborted(error: BaseException | None) -> bool:
    """Whether 25P02 is: a statement met a transaction that had been aborted."""
    return _is_behind(error, "25P02")


def _is_behind(error: BaseException | None, sqlstate: str) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if driver.sqlstate(error) == sqlstate:
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def _sqlstate(error: BaseException) -> str | None:
    refused = driver.server_error(error)
    return driver.sqlstate(refused) if refused is not None else None


def _note(raised: BaseException, text: str) -> None:
    if sys.version_info >= (3, 11):
        raised.add_note(text)
