"""``--model``: the table and the key of a Django model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import IntegerField

from django_lockstep.exceptions import UsageError


@dataclass(frozen=True)
class Target:
    """What is locked; scratch rows when there is no table."""

    table: str | None = None
    key: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``simulate_deadlock``."""
        return {} if self.table is None else {"table": self.table, "key": self.key}


def target_of(label: str, using: str | None, *, has_dsn: bool) -> Target:
    """Find the model; ``using`` is the alias that the command was given."""
    if has_dsn:
        hint = "Leave out --model, or use --database."
        message = f"--model goes with the project's own database, not with --dsn or --embedded. {hint}"
        raise UsageError(message, hint=hint)
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        hint = "Name it as app_label.Model."
        message = f'There is no model "{label}". {hint}'
        raise UsageError(message, hint=hint) from error
    options = model._meta
    key = options.pk
    while key is not None and key.remote_field is not None:
        key = key.target_field
    if not isinstance(key, IntegerField) or options.pk is None:
        hint = "Name a model with an integer primary key, or leave --model out and use scratch rows."
        kind = type(key).__name__
        message = f"The primary key of {options.label} is a {kind}, and --rows takes integers. {hint}"
        raise UsageError(message, hint=hint)
    return Target(table=options.db_table, key=options.pk.column)
