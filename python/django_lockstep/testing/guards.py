"""Refusing what cannot work, before it hangs or lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

from django_lockstep.dsn import dsn_from_alias
from django_lockstep.exceptions import Refused
from django_lockstep.testing.fork import refuse_inherited

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def dsn_of_free_alias(using: str, what: str) -> str:
    """Return the alias's DSN; raise ``Refused`` where other connections cannot work on what the caller sees.

    ``what`` is the caller's name in the message.
    """
    dsn = dsn_from_alias(using)  # also says so when there is no such alias, or it is not PostgreSQL
    connection = connections[using]
    if _is_forbidden(connection):
        hint = f'Add it to the test class: databases = {{"{using}"}}, on TransactionTestCase.'
        raise Refused(f'The test class does not allow queries on database alias "{using}". {hint}', hint=hint)
    if connection.in_atomic_block:
        hint = (
            "Use TransactionTestCase instead of TestCase, @pytest.mark.django_db(transaction=True) with "
            f"pytest-django, and do not call {what} inside atomic()."
        )
        message = (
            f'{what} cannot work in an open atomic() on database alias "{using}", which every TestCase is: other '
            "connections do not see the rows that it made, and wait for ever for those that it changed."
        )
        raise Refused(f"{message} {hint}", hint=hint)
    refuse_inherited(using)
    return dsn


def _is_forbidden(connection: BaseDatabaseWrapper) -> bool:
    # What SimpleTestCase puts in place of the methods of an alias that is not in its ``databases``.
    return type(connection.connect).__name__ == "_DatabaseFailure"
