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
_TOLD = 4  # rows are told one by one up to here, …
_COMPARED = 1000  # … and compared up to here


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
Demand = tuple[str, str, bool]
"""What a reader calls it, the statement that locks it, and whether that must find rows."""


def _demand(what: Lockable, using: str) -> Demand:
    queryset = _queryset(what)
    if queryset is not None:
        return _rows(queryset, using)
    quote = connections[using].ops.quote_name
    if isinstance(what, TableLock):
        table = what.model._meta.db_table
        # With a result, for a statement without one would be told as having found nothing.
        return f"table {table}", f"LOCK TABLE {quote(table)} IN {what.mode} MODE; SELECT 1", False
    if isinstance(what, AdvisoryLock):
        keys = [key for key in (what.key, what.second_key) if key is not None]
        told = ", ".join(map(str, keys))
        return f"advisory lock {told}", f"SELECT pg_advisory_xact_lock({told})", False
    hint = "Give a queryset, a model, an instance, TableLock(Model), AdvisoryLock(key), or a function that returns one."
    raise UsageError(f"An opponent cannot lock {what!r:.80}. {hint}", hint=hint)


def _resolved(what: Lockable | Callable[[], Lockable]) -> Lockable:
    """Return what a function returns, or what is none."""
    is_model = isinstance(what, type) and issubclass(what, models.Model)
    if callable(what) and not is_model and not isinstance(what, models.QuerySet | models.Model):
        return _resolved(cast("Callable[[], Lockable]", what)())
    return cast("Lockable", what)


def demands(
    holding: Lockable | Callable[[], Lockable], wanting: Lockable | Callable[[], Lockable], using: str
) -> tuple[Demand, Demand]:
    """Return what is to be locked on ``using``, of both.

    A queryset's own ``select_for_update(of=…, no_key=…)`` is what is locked, FOR UPDATE if it has none. A function
    is called for what to lock, so that a decorator can name rows that are made later.

    Raises ``UsageError`` where whoever holds the one has all of the other: it would never wait for anybody.
    """
    holding, wanting = _resolved(holding), _resolved(wanting)
    held, wanted = _demand(holding, using), _demand(wanting, using)
    if held[1] != wanted[1] and not _are_part_of(_queryset(wanting), _queryset(holding), using):
        return held, wanted
    what = f"both name {held[0]}" if held[0] == wanted[0] else f"name {held[0]}, and {wanted[0]} among them"
    hint = "Give holding=… what the code locks second, and wanting=… what it locks first; they must be different rows."
    raise UsageError(
        f"holding and wanting {what}: the opponent would have at once what it asks for, so there would never be a "
        f"cycle. {hint}",
        hint=hint,
    )


def _are_part_of(
    wanted: models.QuerySet[Any, Any] | None, held: models.QuerySet[Any, Any] | None, using: str
) -> bool:
    """Whether rows are among those that are held, as strongly; ``False`` where that is not plain to see."""
    if (
        wanted is None
        or held is None
        or wanted.model._meta.concrete_model is not held.model._meta.concrete_model
    ):
        return False
    for query in (wanted.query, held.query):
        if query.select_related or query.select_for_update_of:
            return False  # they lock rows of other tables, or not of this one
    if held.query.select_for_no_key_update and not wanted.query.select_for_no_key_update:
        return False  # others may have such rows FOR KEY SHARE meanwhile
    asked, had = (_keys(queryset.using(using), _COMPARED) for queryset in (wanted, held))
    return 0 < len(asked) <= _COMPARED and len(had) <= _COMPARED and set(asked) <= set(had)


def _queryset(what: Lockable) -> models.QuerySet[Any, Any] | None:
    if isinstance(what, models.QuerySet):
        return what
    if isinstance(what, models.Model):
        if what.pk is None:
            hint = "Save it first."
            raise UsageError(
                f"{what._meta.label} object has no row yet that could be locked. {hint}", hint=hint
            )
        return type(what)._base_manager.filter(pk=what.pk)
    if isinstance(what, type) and issubclass(what, models.Model):
        return what._base_manager.all()
    return None


def _rows(queryset: models.QuerySet[Any, Any], using: str) -> Demand:
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
    keys = [str(key) for key in _keys(queryset, _TOLD)]
    if not 0 < len(keys) <= _TOLD:
        return f"rows of {_table(queryset)}"
    *most, last = keys
    told = f"{', '.join(most)} and {last}" if most else last
    return f"row{'s' if most else ''} {told} of {_table(queryset)}"


def _keys(queryset: models.QuerySet[Any, Any], limit: int) -> list[Any]:
    """Return the primary keys, and one more than that many at most."""
    looked_at = queryset.all()
    looked_at.query.select_for_update = False
    return list(looked_at.values_list("pk", flat=True)[: limit + 1])


def _table(queryset: models.QuerySet[Any, Any]) -> str:
    return str(queryset.model._meta.db_table)
