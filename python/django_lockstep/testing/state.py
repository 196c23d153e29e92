"""The committed state that every schedule of a search starts from, and what it comes to."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connections, transaction

from django_lockstep._core import Outcomes
from django_lockstep.exceptions import Refused
from django_lockstep.testing import driver
from django_lockstep.testing.large_objects import LargeObjects
from django_lockstep.testing.reach import Reaches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TABLES = """
SELECT format('%I.%I', nspname, relname), attributes.* FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
LATERAL (
  SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum) FILTER (WHERE attgenerated = ''), ''),
         coalesce(array_agg(attname::text ORDER BY attnum), '{}'),
         coalesce(array_agg(attidentity <> '' OR EXISTS (
           SELECT FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum
           AND pg_get_expr(adbin, adrelid) LIKE 'nextval(%') ORDER BY attnum), '{}'),
         coalesce(array_agg(EXISTS (
           SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)
         ) ORDER BY attnum), '{}')
  FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
) attributes
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')
  AND relname <> 'django_migrations'
ORDER BY 1
"""
_REFERENCES = """
SELECT format('%I.%I', a.nspname, own.relname), one.attname::text, format('%I.%I', b.nspname, other.relname),
       two.attname::text
FROM (SELECT conrelid AS referring, confrelid AS referred, mine, theirs
      FROM pg_constraint, unnest(conkey, confkey) keys(mine, theirs) WHERE contype = 'f'
      UNION ALL
      SELECT inhrelid, inhparent, heir.attnum, elder.attnum FROM pg_inherits
      JOIN pg_attribute heir ON heir.attrelid = inhrelid JOIN pg_attribute elder ON elder.attrelid = inhparent
      WHERE heir.attname = elder.attname AND heir.attnum > 0 AND NOT heir.attisdropped) pairs
JOIN pg_class own ON own.oid = referring JOIN pg_namespace a ON a.oid = own.relnamespace
JOIN pg_class other ON other.oid = referred JOIN pg_namespace b ON b.oid = other.relnamespace
JOIN pg_attribute one ON one.attrelid = referring AND one.attnum = mine
JOIN pg_attribute two ON two.attrelid = referred AND two.attnum = theirs
WHERE own.relkind IN ('r', 'p')
"""
_VIEWS = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'm' AND relispopulated AND pg_has_role(relowner, 'USAGE')
ORDER BY 1
"""
_OWN = "nspname NOT IN ('pg_catalog', 'information_schema')"
_FUNCTIONS = f"""
SELECT DISTINCT lower(proname) FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
WHERE provolatile = 'v' AND {_OWN} AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
"""
"""A block with EXCEPTION lets go of its locks before anybody can ask; others change the session, or try a lock."""
_GUARDED = f"""
SELECT DISTINCT format('%I.%I', nspname, relname) FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE NOT tgisinternal AND (prosrc ~* 'exception|advisory|set_config|notify|dblink' OR EXISTS (
  SELECT FROM pg_proc called JOIN pg_namespace n ON n.oid = called.pronamespace
  WHERE called.provolatile = 'v' AND {_OWN} AND called.prorettype <> 'trigger'::regtype
  AND position(lower(called.proname) IN lower(pg_proc.prosrc)) > 0))
"""
_SEQUENCES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'S' AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1
"""
_KEYS = """
SELECT format('%I.%I', nspname, relname), ARRAY(SELECT quote_ident(attname) FROM pg_attribute
WHERE attrelid = indrelid AND attnum = ANY (indkey) ORDER BY attnum)
FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE indisprimary
"""
_DEFERRED = """
SELECT DISTINCT format('%I.%I', a.nspname, own.relname), format('%I.%I', b.nspname, other.relname)
FROM pg_constraint
JOIN pg_class own ON own.oid = conrelid JOIN pg_namespace a ON a.oid = own.relnamespace
JOIN pg_class other ON other.oid = confrelid JOIN pg_namespace b ON b.oid = other.relnamespace
WHERE contype = 'f' AND condeferrable
"""

_PATIENCE = "10 s"
"""So long another transaction may hold what is to be put back."""
_LOCK_NOT_AVAILABLE = "55P03"
_SPELT = {"datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3", "bytea_output": "hex"}
"""How values are written so that reading them gives the very same."""
_WRITES = {"write", "insert", "delete"}


@dataclass(frozen=True)
class Table:
    """What must be known of a table to read its rows, and to put them back."""

    name: str
    """With its schema."""
    columns: str
    """Those that can be written, as SQL."""
    names: list[str]
    """Of all columns."""
    drawn: list[bool]
    """Whether a sequence gives its values, by column."""
    keyed: list[bool]
    """Whether it is of the primary key, by column."""

    @property
    def key(self) -> list[int]:
        """The places of the primary key's columns."""
        return [place for place, keyed in enumerate(self.keyed) if keyed]


class State:
    """What the database's own tables and sequences hold, to be put back before every schedule.

    The rows are kept in the process. What is put back is what was written, as far as that is known (``note``); where it
    is not, all tables are compared by their digests. A DELETE and an INSERT of a few rows cost less than a TRUNCATE,
    which makes files (``docs/explore.md``). A row is kept as PostgreSQL writes a record, by the output functions of its
    columns' types: their input functions make of it what it was, whatever the types are.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.reaches = Reaches(using)
        self._tables = {name: Table(name, *told) for name, *told in self._asked(_TABLES)}
        sequences = [name for (name,) in self._asked(_SEQUENCES)]
        self.keys: dict[str, list[str]] = {
            name: keys for name, keys in self._asked(_KEYS) if name in self._tables
        }
        """The columns of the tables' primary keys."""
        functions = {name for (name,) in self._asked(_FUNCTIONS)}
        guarded = {name for (name,) in self._asked(_GUARDED)}
        self.lore = (self._asked(_DEFERRED), functions, guarded, set(sequences))
        """What a search must know of the tables (``Search``)."""
        ((self._privileged,),) = self._asked("SELECT current_setting('is_superuser') = 'on'")
        self._views = [name for (name,) in self._asked(_VIEWS)]
        with transaction.atomic(using=using):
            self._asked(_set_local(_SPELT))
            self._rows: dict[str, str | None] = self.rows(self._tables)
            self._large_objects = LargeObjects(self._asked)
        self._digests = self._digests_of_all()
        self._counters = dict.fromkeys(sequences, (1, False))
        self._counters = self._positions()
        self._written: set[str] | None = None
        """What was written since the state was put back; ``None``: that is not known."""

    def rows(self, tables: Iterable[str]) -> dict[str, str | None]:
        """Return each table's rows: an array of records, as PostgreSQL writes it, or ``None`` where there are none."""
        return dict(self._each(tables, lambda name: f"array_agg((x.*)::text)::text FROM ONLY {name} x"))

    def _digests_of_all(self) -> dict[str, str]:
        def digest(name: str) -> str:
            row = "(x.*)::text"
            only = "" if name in self._views else "ONLY "
            return f"md5(string_agg({row}, '|' ORDER BY {row} COLLATE \"C\")) FROM {only}{name} x"

        return dict(self._each([*self._tables, *self._views], digest))

    def outcomes(self, sessions: Sequence[str]) -> Outcomes:
        """Return what compares outcomes with what the tables hold now."""
        tables = [
            (table.name, list(zip(table.names, table.drawn, strict=True)), table.key)
            for table in self._tables.values()
        ]
        return Outcomes(list(sessions), tables, self._asked(_REFERENCES), self.held())

    def held(self, written: Iterable[str] | None = None) -> list[tuple[str, str | None]]:
        """Return the rows of these tables, or of all."""
        return list(
            self.rows(self._tables if written is None else self._tables.keys() & set(written)).items()
        )

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Take down what the calling thread's own code writes."""

        def note(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
            known = isinstance(sql, str) and not many and context["connection"].alias == self.using
            reach = self.reaches.of(sql, params) if known else None
            self.note(None if reach is None else [name for name, _, access in reach if access in _WRITES])
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(connections[alias].execute_wrapper(note))
            yield

    def survey(self) -> str:
        """Return a query for all rows that transactions from a number on have locked or written, deleted ones aside."""

        def rows(table: str, *_: str) -> str:
            named = ", ".join(f"'{_bare(key)}', x.{key}" for key in self.keys[table])
            others = "".join(f" - '{_bare(key)}'" for key in self.keys[table])
            return (
                f"jsonb_build_object({named})::text, (to_jsonb(x.*){others})::text FROM {table} x "
                "WHERE x.xmin::text::bigint >= {number} OR x.xmax::text::bigint >= {number}"
            )

        asked = [f"SELECT {_text(name)}, {rows(name)}" for name in self.keys]
        return " UNION ALL ".join(asked)

    def exists(self, table: str, key: str) -> bool:
        """Whether there is a row of this primary key, a JSON object."""
        same = " AND ".join(f"held.{column} = wanted.{column}" for column in self.keys[table])
        record = f"jsonb_populate_record(NULL::{table}, {_text(key)}::jsonb) wanted"
        return bool(self._asked(f"SELECT 1 FROM {table} held, {record} WHERE {same}"))

    def note(self, written: Iterable[str] | None) -> None:
        """Take down what was written; ``None``: nobody knows."""
        if written is None:
            self._written = None
        elif self._written is not None:
            self._written.update(written)

    def restore(self) -> None:
        """Put back what has changed."""
        unknown = self._written is None
        if self._written is None or not self._privileged:
            now = self._digests_of_all()
            changed = [name for name, digest in now.items() if digest != self._digests[name]]
            moved = [name for name, at in self._positions().items() if at != self._counters[name]]
        else:
            changed = [name for name in self._tables if name in self._written]
            moved = [name for name in self._counters if name in self._written]
        objects = list(self._large_objects.restoring(self._asked)) if unknown or self._large_objects else []
        if changed or moved or objects:
            self._put_back("; ".join([*self._restoring(changed, moved), *objects]))
        self._written = set()

    def _put_back(self, sql: str) -> None:
        connection = connections[self.using]
        # Several statements at once are a transaction of their own.
        alone = nullcontext() if connection.get_autocommit() else transaction.atomic(using=self.using)
        try:
            with alone, connection.cursor() as cursor:
                cursor.execute(sql)
        except OperationalError as error:
            if driver.sqlstate(error.__cause__ or error) != _LOCK_NOT_AVAILABLE:
                raise
            hint = "End it: a thread of this process, or another program, has begun it and not ended it."
            message = (
                f"What a schedule wrote cannot be put back: another transaction has held it for {_PATIENCE}."
            )
            raise Refused(f"{message} {hint}", sqlstate=_LOCK_NOT_AVAILABLE, hint=hint) from error

    def _restoring(self, changed: list[str], moved: list[str]) -> Iterator[str]:
        settings = {"lock_timeout": _PATIENCE, **_SPELT}
        # A superuser's own triggers and foreign keys stay silent; others have theirs checked when all is back.
        if self._privileged:
            settings["session_replication_role"] = "replica"
        yield _set_local(settings)
        if not self._privileged:
            yield "SET CONSTRAINTS ALL DEFERRED"
        tables = [name for name in changed if name in self._tables]
        for name in tables:
            yield f"DELETE FROM ONLY {name}"
        for name in tables:
            columns = self._tables[name].columns
            rows = self._rows[name]
            if rows is not None:
                into = f"{name} ({columns}) OVERRIDING SYSTEM VALUE" if columns else name
                yield f"INSERT INTO {into} SELECT {columns} FROM unnest({_text(rows)}::{name}[])"
        for name in changed:
            if name in self._views:
                yield f"REFRESH MATERIALIZED VIEW {name}"
        for name in moved:
            last, called = self._counters[name]
            yield f"SELECT setval({_text(name)}::regclass, {last}, {called})"

    def _positions(self) -> dict[str, tuple[int, bool]]:
        if not self._counters:
            return {}
        each = (f"SELECT {_text(name)}, last_value, is_called FROM {name}" for name in self._counters)
        return {name: (last, called) for name, last, called in self._asked(" UNION ALL ".join(each))}

    def _each(self, tables: Iterable[str], query: Any) -> list[Any]:
        asked = [f"SELECT {_text(name)}, {query(name)}" for name in tables]
        return self._asked(" UNION ALL ".join(asked)) if asked else []

    def _asked(self, sql: str) -> list[Any]:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def _bare(name: str) -> str:
    return name.strip('"').replace('""', '"').replace("'", "''")


def _set_local(settings: dict[str, str]) -> str:
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())


def _text(value: str) -> str:
    # With a backslash, a string is spelt so that standard_conforming_strings makes no difference.
    escaped = value.replace("\\", "\\\\")
    return ("E'" if escaped != value else "'") + escaped.replace("'", "''") + "'"
