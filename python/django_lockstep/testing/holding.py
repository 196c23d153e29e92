"""What an opponent can hold and want: rows, tables, advisory locks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections, models, transaction

from django_lockstep.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

TableMode = Literal[
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
_MODES: tuple[str, ...] = TableMode.__args__  # type: ignore[attr-defined]
_TOLD = 4  # rows are told one by one up to here


@dataclass(frozen=True)
class TableLock:
    """A lock on a model's whole table (PostgreSQL manual, "Table-Level Locks").

    ``ACCESS EXCLUSIVE`` is what most of a migration's ALTER TABLE takes, ``ROW EXCLUSIVE`` what an UPDATE takes.
    """

    model: type[models.Model]
    mode: TableMode = "ACCESS EXCLUSIVE"

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            hint = f"The modes are {', '.join(_MODES)}."
            raise UsageError(f"A table cannot be locked in mode {self.mode!r}. {hint}", hint=hint)


@dataclass(frozen=True)
class AdvisoryLock:
    """A transaction-level advisory lock: of one bigint key, or of two int keys (``pg_advisory_xact_lock``)."""

    key: int
    second_key: int | None = None

    def __post_init__(self) -> None:
        for key in (self.key, 0 if self.second_key is None else self.second_key):
            if not isinstance(key, int) or isinstance(key, bool):
                hint = "Give a whole number, or two."
                raise UsageError(f"An advisory lock cannot have the key {key!r}. {hint}", hint=hint)


Lockable = Union["models.QuerySet[Any, Any]", models.Model, type[models.Model], TableLock, AdvisoryLock]
"""A queryset's rows, a saved instance's row, all rows of a model, a table, or an advisory lock."""


def demand(what: Lockable | Callable[[], Lockable], using: str) -> tuple[str, str, bool]:
    """Return what a reader calls it, the statement that locks it on ``using``, and whether it must find rows.

    A queryset's own ``select_for_update(of=…, no_key=…)`` is what is locked, FOR UPDATE if it has none. A function
    is called for what to lock, so that a decorator can name rows that are made later.
    """
    if isinstance(what, models.QuerySet):
        return _rows(what, using)
    if isinstance(what, models.Model):
        if what.pk is None:
            hint = "Save it first."
            raise UsageError(
                f"{what._meta.label} object has no row yet that could be locked. {hint}", hint=hint
            )
        return _rows(type(what)._base_manager.filter(pk=what.pk), using)
    if isinstance(what, type) and issubclass(what, models.Model):
        return _rows(what._base_manager.all(), using)
    quote = connections[using].ops.quote_name
    if isinstance(what, TableLock):
        table = what.model._meta.db_table
        # With a result, for a statement without one would be told as having found nothing.
        return f"table {table}", f"LOCK TABLE {quote(table)} IN {what.mode} MODE; SELECT 1", False
    if isinstance(what, AdvisoryLock):
        keys = [key for key in (what.key, what.second_key) if key is not None]
        told = ", ".join(map(str, keys))
        return f"advisory lock {told}", f"SELECT pg_advisory_xact_lock({told})", False
    if callable(what):
        return demand(cast("Lockable", what()), using)
    hint = "Give a queryset, a model, an instance, TableLock(Model), AdvisoryLock(key), or a function that returns one."
    raise UsageError(f"An opponent cannot lock {what!r:.80}. {hint}", hint=hint)


def _rows(queryset: models.QuerySet[Any, Any], using: str) -> tuple[str, str, bool]:
    queryset = queryset.using(using)
    query = queryset.query
    if not query.select_for_update:
        queryset = queryset.select_for_update()
        query = queryset.query
    # The opponent has to wait where it cannot have a row.
    query.select_for_update_nowait = query.select_for_update_skip_locked = False
    operations: Any = connections[using].ops
    try:
        with transaction.atomic(using=using):  # nothing is sent; the compiler wants to see a transaction
            sql, parameters = query.get_compiler(using=using).as_sql()
            composed: str = operations.compose_sql(sql, parameters)  # literals by the driver's own quoting
    except EmptyResultSet as error:
        hint = "Give one that finds rows."
        raise UsageError(
            f"The queryset on {_table(queryset)} can never find a row. {hint}", hint=hint
        ) from error
    return _name(queryset), composed, True


def _name(queryset: models.QuerySet[Any, Any]) -> str:
    """Return what a reader calls the rows: by their primary keys, if there are few."""
    looked_at = queryset.all()
    looked_at.query.select_for_update = False
    keys = [str(key) for key in looked_at.values_list("pk", flat=True)[: _TOLD + 1]]
    if not 0 < len(keys) <= _TOLD:
        return f"rows of {_table(queryset)}"
    *most, last = keys
    told = f"{', '.join(most)} and {last}" if most else last
    return f"row{'s' if most else ''} {told} of {_table(queryset)}"


def _table(queryset: models.QuerySet[Any, Any]) -> str:
    return str(queryset.model._meta.db_table)
