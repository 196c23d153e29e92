"""Noticing a database connection that this process has not opened but inherited by a fork."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.db import connections

from django_lockstep.exceptions import Refused
from django_lockstep.testing import driver

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_inherited: WeakSet[Any] = WeakSet()
"""The drivers' connections that were open when this process was forked."""


def refuse_inherited(using: str) -> None:
    """Raise ``Refused`` if this thread's connection to the alias is open and was inherited from the parent process.

    Both processes would talk on one socket: their statements and answers get mixed up, and closing it in one ends it
    for both.
    """
    connection = connections[using]
    if not is_inherited(connection):
        return
    hint = (
        "Close the connections before the fork, in the parent (connections.close_all()), or let the code run in "
        "threads: run_together."
    )
    backend = driver.backend_pid(connection.connection)
    message = (
        f'This process ({os.getpid()}) was forked, and has inherited the open connection "{using}" (backend {backend}) '
        f"from its parent ({os.getppid()}): both talk on one socket. {hint}"
    )
    raise Refused(message, sqlstate="08003", hint=hint)


def is_inherited(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection is open, and its socket is another process's as well.

    A connection that was open at a fork after this module was imported is known by itself; any other by its socket:
    the parent has the same one open (``/proc``, Linux).
    """
    raw = connection.connection
    if raw is None or raw.closed:
        return False
    return raw in _inherited or _is_open_in_parent(raw)


def _is_open_in_parent(raw: Any) -> bool:
    try:
        status = os.fstat(raw.fileno())
    except (OSError, ValueError):
        return False
    if not stat.S_ISSOCK(status.st_mode):
        return False
    wanted = f"socket:[{status.st_ino}]"
    with suppress(OSError):  # no /proc, or not our parent to look at
        for file in Path(f"/proc/{os.getppid()}/fd").iterdir():
            with suppress(OSError):  # it has just been closed
                if str(file.readlink()) == wanted:
                    return True
    return False


def _stamp() -> None:
    for connection in connections.all(initialized_only=True):
        raw = getattr(connection, "connection", None)
        if raw is not None and not raw.closed:
            _inherited.add(raw)


os.register_at_fork(after_in_child=_stamp)
