"""``--model``: the table, the key and the database of a Django model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import IntegerField
from django.utils.connection import ConnectionDoesNotExist

from django_lockstep.exceptions import UsageError


@dataclass(frozen=True)
class Target:
    """What is locked, and where."""

    table: str
    key: str
    using: str

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``simulate_deadlock``."""
        return {"table": self.table, "key": self.key}


def target_of(label: str, using: str | None) -> Target:
    """Find the model. Its rows are where ``using`` says, or else where the routers send writes to it."""
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        hint = "Name one that is installed and not abstract, as app_label.Model."
        message = f'There is no model "{label}". {hint}'
        raise UsageError(message, hint=hint) from error
    options = model._meta
    if options.swapped:
        hint = f"Name {options.swapped}."
        message = f"{options.label} is swapped for {options.swapped}, so it has no table. {hint}"
        raise UsageError(message, hint=hint)
    # A parent link or any other relation as the primary key has the type of what it points to.
    key = options.pk
    while key is not None and key.remote_field is not None:
        key = key.target_field
    if options.pk is None or not isinstance(key, IntegerField):
        hint = "Name a model with an integer primary key, or leave --model out and use scratch rows."
        message = (
            f"The primary key of {options.label} is a {type(key).__name__}, and --rows takes integers. {hint}"
        )
        raise UsageError(message, hint=hint)
    alias = using or router.db_for_write(model)
    _refuse_in_atomic(alias)
    return Target(_identifier(options.db_table), options.pk.column, alias)


def _identifier(table: str) -> str:
    """Return the table's name; ``schema"."table`` is Django's folklore for one in another schema."""
    if '"."' not in table:
        return table
    return table if table.startswith('"') else f'"{table}"'


def _refuse_in_atomic(using: str) -> None:
    """Refuse what would lock, or miss, rows that an open transaction of this very thread has touched."""
    try:
        connection = connections[using]
    except (ConnectionDoesNotExist, ImproperlyConfigured):
        return  # dsn_from_alias says it better
    if connection.in_atomic_block:
        hint = "Use TransactionTestCase or django_db(transaction=True), or leave --model out and use scratch rows."
        message = (
            f'The connection "{using}" is inside atomic() (as all of a TestCase is): no other connection sees the '
            f"rows that it has made, and one that wants a row that it has changed waits for ever. {hint}"
        )
        raise UsageError(message, hint=hint)
