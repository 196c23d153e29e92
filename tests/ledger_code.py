"""The code under test: it locks accounts, and tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connection, transaction
from orm.models import Account

from django_lockstep.testing.provoke import is_deadlock

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = Account.objects.filter(pk=2)
WANTED = Account.objects.filter(pk=1)
FAST = 0.001
"""A ``deadlock_timeout``, for a superuser: PostgreSQL's least."""


def lock(*keys: int, using: str = "default") -> None:
    """Lock accounts in this order, in a transaction."""
    with transaction.atomic(using=using):
        for key in keys:
            Account.objects.using(using).select_for_update().get(pk=key)


def transfer(source: int, target: int, amount: int) -> None:
    """Move an amount, locking the accounts as they come."""
    with transaction.atomic():
        payer = Account.objects.select_for_update().get(pk=source)
        payee = Account.objects.select_for_update().get(pk=target)
        payer.balance -= amount
        payee.balance += amount
        payer.save()
        payee.save()


def retried(code: Callable[[], object], attempts: int = 9) -> Callable[[], None]:
    """Return the code, tried again after 40P01."""

    def attempt() -> None:
        for number in range(attempts):
            try:
                code()
            except OperationalError as error:
                if not is_deadlock(error) or number == attempts - 1:
                    raise
            else:
                return

    return attempt


def value_of(sql: str) -> Any:
    """Return the first column of the first row, asked on this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return (cursor.fetchone() or (None,))[0]
