"""Which exceptions are the server's abort of a transaction, and which came of it."""

from __future__ import annotations

from django.db import OperationalError

from django_lockstep.testing import driver

_SQLSTATES = {"deadlock_victim": "40P01", "serialization_failure": "40001"}


def is_the_abort(error: BaseException, outcome: str) -> bool:
    """Whether a callable ended with the very error by which the server aborted it.

    One that came of that, such as a bug in its handler, is the callable's own.
    """
    sqlstate = _SQLSTATES.get(outcome)
    sent = driver.server_error(error) if isinstance(error, OperationalError) else error
    return sqlstate is not None and sent is not None and driver.sqlstate(sent) == sqlstate
