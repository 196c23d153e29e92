"""Refusing what cannot work, before it hangs or lies."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections

from django_lockstep.dsn import dsn_from_alias
from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.testing.fork import refuse_inherited
from django_lockstep.testing.worker import is_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper


def refuse_too_few(functions: Sequence[Callable[[], Any]]) -> None:
    """Raise ``UsageError`` unless these are two callables or more, each of which does something when it is called."""
    if len(functions) < 2:
        is_list = bool(functions) and isinstance(functions[0], list | tuple)
        hint = "Give two callables or more" + (", not a list of them: put a * before it." if is_list else ".")
        raise UsageError(f"There is nothing to run together. {hint}", hint=hint)
    for function in functions:
        refuse_uncallable(function)


def refuse_uncallable(function: object, told: str | None = None) -> None:
    """Raise ``UsageError`` unless calling it does what it is for; ``told`` is what it is called in the message."""
    if not callable(function):
        hint = "Give a function without arguments, such as lambda: transfer(1, 2)."
        raise UsageError(f"{told or repr(function)} cannot be called. {hint}", hint=hint)
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", repr(inner))
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        hint = f"Give async_to_sync({getattr(inner, '__name__', 'function')}), of asgiref.sync."
        raise UsageError(f"{name} is an async function: calling it runs nothing. {hint}", hint=hint)
    if inspect.isgeneratorfunction(inner):
        hint = "Give a function that goes through what it yields, such as lambda: list(…)."
        raise UsageError(f"{name} is a generator function: calling it runs nothing. {hint}", hint=hint)


def dsn_of_free_alias(using: str, what: str) -> str:
    """Return the alias's DSN; raise ``Refused`` where other connections cannot work on what the caller sees.

    ``what`` is the caller's name in the message.
    """
    _refuse_nested(what)
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


def _refuse_nested(what: str) -> None:
    """Raise ``Refused`` in code that is itself run in lock-step."""
    if not is_worker():
        return
    hint = f"Give all the functions to one call, or call {what} outside of them."
    message = (
        f"{what} cannot be called by a function that is itself run in lock-step: the outer run would wait for a "
        "function that comes to no step, and neither would know of the other's sessions."
    )
    raise Refused(f"{message} {hint}", hint=hint)


def refuse_other_than_test_database(using: str, what: str) -> None:
    """Raise ``Refused`` where the alias's database does not look like one that a test runner has made."""
    settings = connections[using].settings_dict
    name, test = str(settings["NAME"]), (settings.get("TEST") or {}).get("NAME")
    if name.startswith("test_") or (test and (name == test or name.startswith(f"{test}_"))):
        return  # clones for parallel processes have a number at their end
    hint = (
        "Call it in a test: the test runner makes a database whose name begins with test_, or is TEST's NAME."
    )
    message = f'{what} writes to the tables of database "{name}", which does not look like a test database.'
    raise Refused(f"{message} {hint}", hint=hint)


def _is_forbidden(connection: BaseDatabaseWrapper) -> bool:
    # What SimpleTestCase puts in place of the methods of an alias that is not in its ``databases``.
    return type(connection.connect).__name__ == "_DatabaseFailure"
