"""The caller's own code between two schedules: what it must leave as it was, and what its errors say."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections

from django_lockstep.exceptions import UsageError
from django_lockstep.testing import driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def between(what: str, where: str) -> Iterator[None]:
    """Run ``setup`` or ``invariant``; ``where`` says when it is called.

    What it raises says so in a note. Raises ``UsageError`` if it leaves a transaction open: what it wrote would be seen
    by no session, and what it locked would keep them all waiting. The transaction is rolled back.
    """
    before = {connection.alias for connection in _open()}
    try:
        yield
    except Exception as error:
        if hasattr(error, "add_note"):  # from Python 3.11 on
            error.add_note(f"{what} raised this, {where}.")
        raise
    finally:
        left = [connection for connection in _open() if connection.alias not in before]
        for connection in left:
            connection.close()
            connection.connect()
    if left:
        raise UsageError(
            f'{what} left a transaction open on database alias "{left[0].alias}", {where}: no session would see what '
            "it wrote, and all would wait for what it locked. Have it commit or roll back what it begins; with "
            "transaction.atomic() that happens by itself."
        )


def _open() -> list[BaseDatabaseWrapper]:
    return [
        connection
        for connection in connections.all(initialized_only=True)
        if connection.vendor == "postgresql"
        and (connection.in_atomic_block or driver.is_in_transaction(connection.connection))
    ]
