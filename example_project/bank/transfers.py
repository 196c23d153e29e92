"""The same transfer twice: as it is usually written, which deadlocks, and as it should be."""

from __future__ import annotations

from django.db import transaction

from bank.models import Account
from bank.retries import retry_on_deadlock


class InsufficientFunds(Exception):
    """The source has less than the amount; nothing was moved."""


def transfer_naive(source: int, target: int, amount: int) -> None:
    """Move an amount from one account to another, locking them as they come.

    Two of these in opposite directions each lock their source, and then wait for each other's.
    """
    with transaction.atomic():
        payer = Account.objects.select_for_update().get(pk=source)
        payee = Account.objects.select_for_update().get(pk=target)
        _move(payer, payee, amount)


def transfer_ordered(source: int, target: int, amount: int) -> None:
    """Move an amount from one account to another, locking them in the order of their primary keys.

    Everybody locks the lower key first: whoever waits for it holds nothing that the others could want.
    """
    with transaction.atomic():
        locked = {key: Account.objects.select_for_update().get(pk=key) for key in sorted({source, target})}
        _move(locked[source], locked[target], amount)


@retry_on_deadlock(attempts=3)
def transfer_retried(source: int, target: int, amount: int) -> None:
    """Move an amount as ``transfer_naive`` does, and try again after a deadlock."""
    transfer_naive(source, target, amount)


def transfer_retried_inside(source: int, target: int, amount: int) -> None:
    """Move an amount, trying again in the wrong place: inside the transaction that holds the payer's lock.

    What PostgreSQL aborts is the inner ``atomic()``, a savepoint; the outer one keeps the lock on the source.
    """

    @retry_on_deadlock(attempts=3)
    def pay_in(payer: Account) -> None:
        with transaction.atomic():
            payee = Account.objects.select_for_update().get(pk=target)
            _move(payer, payee, amount)

    with transaction.atomic():
        pay_in(Account.objects.select_for_update().get(pk=source))


def _move(payer: Account, payee: Account, amount: int) -> None:
    if amount <= 0:
        raise ValueError(f"A transfer of {amount} moves nothing. Give an amount above zero.")
    if payer.pk == payee.pk:
        raise ValueError("An account cannot pay itself. Give two accounts.")
    if payer.balance < amount:
        raise InsufficientFunds(f"{payer.owner} has {payer.balance}, which is less than {amount}.")
    payer.balance -= amount
    payee.balance += amount
    payer.save(update_fields=["balance"])
    payee.save(update_fields=["balance"])
