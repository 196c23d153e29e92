"""The exceptions of django-lockstep. They are made in Rust (``src/python/errors.rs``) and in Python alike."""

from __future__ import annotations


class LockstepError(Exception):
    """Base of every exception that django-lockstep raises; its message says what happened and what to do.

    ``sqlstate`` and ``detail`` are PostgreSQL's own, where there is one; ``hint`` is what to do. What the server
    or the operating system said itself is the exception's ``__cause__``.
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint


class UsageError(LockstepError, ValueError):
    """The arguments make no sense; nothing was sent to a server."""


class ConnectionFailed(LockstepError, ConnectionError):
    """No connection could be made: the settings, the network, or the server's refusal."""


class Refused(LockstepError):
    """The server, the role, or the objects there do not allow what was asked for."""


class ServerError(LockstepError):
    """A statement of our own failed. As a ``__cause__``: the server's own words."""


class ConnectionLost(LockstepError, ConnectionError):
    """The server went away in the middle."""


class Nondeterministic(LockstepError):
    """The same beginning of a schedule led to something else than before: the search cannot go on.

    A callable came to another statement, or the server would not let sessions have a row as they had come.
    """


class CallTimeout(LockstepError, TimeoutError):
    """The call's ``timeout`` ran out before a run could begin."""


class NotSurvived(LockstepError, AssertionError):
    """The code under test was to get through a deadlock, and did not, or never met one."""
