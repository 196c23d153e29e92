"""The committed state that every schedule of a search starts from, and what it comes to."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction

_TABLES = """
SELECT c.oid::regclass::text,
       (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),
       (SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), 'NULL') FROM pg_attribute a
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attidentity = ''
          AND atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype, 'time'::regtype,
                               'uuid'::regtype)
          AND NOT EXISTS (SELECT FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum
                          AND pg_get_expr(adbin, adrelid) LIKE 'nextval(%'))
FROM pg_class c
WHERE relkind = 'r' AND relpersistence <> 't'
  AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND c.oid::regclass::text <> 'django_migrations'
ORDER BY 1
"""
_SEQUENCES = """
SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'S' AND relpersistence <> 't'
AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1
"""
_DEFERRED = """
SELECT DISTINCT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND condeferrable
"""


class State:
    """What the database's own tables and sequences hold, to be put back before every schedule.

    The rows are kept in the process. What is put back is what differs, found by a digest of each table: a schedule
    usually touches one or two small tables, and a DELETE and an INSERT cost less than a TRUNCATE, which makes a file.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self._tables: list[tuple[str, str, str]] = self._asked(_TABLES)
        self._sequences = [name for (name,) in self._asked(_SEQUENCES)]
        self.deferred: list[tuple[str, str]] = self._asked(_DEFERRED)
        self._rows: dict[str, str] = dict(
            self._asked(
                self._each(lambda t, *_: f"SELECT {_text(t)}, coalesce(json_agg(x), '[]')::text FROM {t} x")
            )
            if self._tables
            else []
        )
        self._digests = self.digests()
        self._counters = self._positions()

    def digests(self, *, logical: bool = False) -> dict[str, str]:
        """Return a digest of each table's rows.

        ``logical`` leaves out what differs from run to run or by the order of insertions alone: generated keys, times
        and UUIDs.
        """
        if not self._tables:
            return {}

        def digest(table: str, columns: str, stable: str) -> str:
            row = f"ROW({stable if logical else columns})::text"
            return f"SELECT {_text(table)}, md5(coalesce(string_agg({row}, '|' ORDER BY {row}), '')) FROM {table}"

        return dict(self._asked(self._each(digest)))

    def restore(self) -> None:
        """Put back what has changed."""
        now = self.digests()
        changed = [row for row in self._tables if now[row[0]] != self._digests[row[0]]]
        moved = [(name, at) for name, at in self._positions().items() if at != self._counters[name]]
        if not changed and not moved:
            return
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for table, _, _ in changed:
                cursor.execute(f"DELETE FROM {table}")
            for table, columns, _ in changed:
                if self._rows[table] != "[]":
                    cursor.execute(
                        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
                        f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)",
                        [self._rows[table]],
                    )
            for name, _ in moved:
                last, called = self._counters[name]
                cursor.execute("SELECT setval(%s::regclass, %s, %s)", [name, last, called])

    def _positions(self) -> dict[str, tuple[int, bool]]:
        if not self._sequences:
            return {}
        each = (f"SELECT {_text(name)}, last_value, is_called FROM {name}" for name in self._sequences)
        return {name: (last, called) for name, last, called in self._asked(" UNION ALL ".join(each))}

    def _each(self, query: Any) -> str:
        return " UNION ALL ".join(query(*row) for row in self._tables)

    def _asked(self, sql: str) -> list[Any]:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
