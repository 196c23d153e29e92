"""The ``deadlock_timeout`` of a session's connection: a short one for whoever may close a cycle."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django_lockstep.testing import driver


class DeadlockTimeout:
    """Sees to it that whoever closes a cycle is the first to look for one, and so is aborted.

    A step that is released while nobody waits cannot close a cycle, and has a long ``deadlock_timeout``; any other has
    a short one. It is set on the connection itself, just before the step, and only where it is not so already.
    """

    def __init__(self, first: float, other: float) -> None:
        self._first = first
        self._other = other
        self._raw: Any = None
        self._set: float | None = None

    @property
    def at_start(self) -> str:
        """What a connection is to begin with, as a setting."""
        return _written(self._first)

    def begins(self, raw: Any) -> None:
        """Take it that this connection has what it is to begin with."""
        self._raw, self._set = raw, self._first

    def forget(self) -> None:
        """Know nothing any more: a transaction was rolled back, or a part of it, and perhaps a setting with it."""
        self._set = None

    def choose(self, raw: Any, *, others_wait: bool) -> None:
        """Set what the next step needs."""
        if raw is not self._raw:
            self._raw, self._set = raw, None
        wanted = self._other if others_wait else self._first
        if wanted == self._set or self._first == self._other or not driver.may_set_all(raw):
            return
        self._set = None
        with suppress(Exception):  # what is wrong with the connection, the step itself will tell
            with raw.cursor() as cursor:
                cursor.execute(f"SET deadlock_timeout = '{_written(wanted)}'")
            self._set = wanted


def _written(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"
