"""The exceptions of django-lockstep."""

from __future__ import annotations


class LockstepError(Exception):
    """Base of every exception that django-lockstep raises; its message says what happened and what to do.

    ``sqlstate``, ``detail`` and ``hint`` are what PostgreSQL sent along, if it was the server that refused.
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
