"""What is asked of the two drivers, psycopg 3 and psycopg2, beyond the DB-API."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

IDLE = 0
"""``PQTRANS_IDLE``: no transaction is open (libpq's PQtransactionStatus)."""
IN_TRANSACTION = 2
"""``PQTRANS_INTRANS``: one is open, and none of its statements has failed."""


def backend_pid(connection: Any) -> int:
    """Return the backend that libpq knows; behind a pooler it is the pooler's number."""
    info = getattr(connection, "info", None)
    return int(info.backend_pid if info is not None else connection.get_backend_pid())


def transaction_status(connection: Any) -> int:
    """Return libpq's PQtransactionStatus."""
    pgconn = getattr(connection, "pgconn", None)
    return int(pgconn.transaction_status if pgconn is not None else connection.get_transaction_status())


def is_in_transaction(connection: Any) -> bool:
    """Whether there is a connection, and a transaction is open on it, failed or not."""
    return connection is not None and not connection.closed and transaction_status(connection) != IDLE


def may_set_all(connection: Any) -> bool:
    """Whether the connection's present role is a superuser, and a SET may be sent now."""
    pipeline = getattr(getattr(connection, "pgconn", None), "pipeline_status", 0)
    return (
        not connection.closed
        and not pipeline
        and connection.info.parameter_status("is_superuser") == "on"
        and transaction_status(connection) in {IDLE, IN_TRANSACTION}
    )


def server_error(error: BaseException) -> BaseException | None:
    """Return the driver's own exception below Django's, if the server sent it."""
    seen: BaseException | None = error
    while seen is not None:
        if sqlstate(seen):
            return seen
        seen = seen.__cause__
    return None


def text_of(error: BaseException) -> str:
    """Return what an exception says, in one line; nothing where its own ``__str__`` fails."""
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 it is the user's code
        return ""


def first_line_of(error: BaseException) -> str:
    """Return the first line of what an exception says; nothing where its own ``__str__`` fails."""
    try:
        return str(error).strip().partition("\n")[0].strip()
    except Exception:  # noqa: BLE001 it is the user's code
        return ""


def sqlstate(error: BaseException) -> str | None:
    """Return an exception's SQLSTATE; psycopg2 calls it ``pgcode``."""
    found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return found if isinstance(found, str) else None


def shut_down(connection: Any) -> None:
    """Shut the connection's socket down, so that whoever waits there returns; also from another thread."""
    # Its socket may be closed, also this very moment. A duplicate, so that closing ours does not close the driver's.
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
