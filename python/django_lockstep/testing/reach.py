"""What a statement touches, where that can be read off the statement itself: the plain ones that Django writes.

A statement is recognised as a whole or not at all. There is no function in it, no second table and no subquery, and
its table has no triggers, rules, policies, generated columns, partitions or heirs. Everything else is asked of the
server, and counts for whole tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Sequence

Reach = list[tuple[str, str | None, str]]
"""For each table: its name with its schema, the primary key of the only row, and how it is touched."""

_TABLES = """
SELECT format('"%s"', relname), format('%I.%I', nspname, relname), c.oid::regclass::text,
  (SELECT format('"%s"', attname) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
   WHERE indrelid = c.oid AND indisprimary AND indnkeyatts = 1 AND indimmediate
   AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)),
  ARRAY(SELECT format('"%s"', attname) FROM pg_attribute a WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
   AND NOT EXISTS (SELECT FROM pg_index i WHERE indrelid = c.oid AND (indisunique OR indisexclusion)
                   AND (attnum = ANY (indkey) OR indexprs IS NOT NULL OR indpred IS NOT NULL))
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND (conrelid = c.oid AND attnum = ANY (conkey)
                   OR confrelid = c.oid AND attnum = ANY (confkey)))),
  ARRAY(SELECT format('%I.%I', n.nspname, p.relname) FROM pg_constraint
   JOIN pg_class p ON p.oid = confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
   WHERE contype = 'f' AND conrelid = c.oid),
  NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = c.oid),
  NOT EXISTS (SELECT FROM pg_attrdef WHERE adrelid = c.oid AND pg_get_expr(adbin, adrelid) LIKE '%(%'
              AND pg_get_expr(adbin, adrelid) NOT LIKE 'nextval(%')
  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indexprs IS NOT NULL),
  ARRAY(SELECT format('%I.%I', n.nspname, s.relname) FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
   WHERE s.relkind = 'S' AND (
    EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = s.oid AND refobjid = c.oid
            AND deptype IN ('a', 'i'))
    OR EXISTS (SELECT FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid AND adrelid = c.oid
               WHERE classid = 'pg_attrdef'::regclass AND refobjid = s.oid)))
FROM pg_class c JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND pg_table_is_visible(c.oid) AND NOT relrowsecurity
AND NOT relispartition AND nspname NOT IN ('pg_catalog', 'information_schema')
AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attgenerated <> '' AND NOT attisdropped)
AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c'
                AND pg_get_constraintdef(pg_constraint.oid) ~ '\\w\\(')
"""
_DEFERRED_TRIGGERS = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgdeferrable AND NOT tgisinternal)"
_COLUMN = r'"(?:[^"%]|"")+"'
_NAMED = rf"{_COLUMN}\.{_COLUMN}"
_SELECTED = (
    rf'(?:{_NAMED}(?: AS {_COLUMN})?|1 AS "a"|COUNT\(\*\) AS "__count"'
    rf"|(?:SUM|MIN|MAX)\({_NAMED}\) AS {_COLUMN})"
)
_WHERE = rf"(?:{_NAMED}(?:::text)?|%s|\b(?:AND|OR|NOT|IN|IS|NULL|LIKE|BETWEEN)\b|[=<>!(),]|\s|\d+)+"
_ORDER = rf"(?:{_NAMED}|1)(?: ASC| DESC)?"
_SELECT = re.compile(
    rf"SELECT (?:DISTINCT )?{_SELECTED}(?:, {_SELECTED})* FROM (?P<table>{_COLUMN})(?: WHERE (?P<where>{_WHERE}?))?"
    rf"(?: ORDER BY {_ORDER}(?:, {_ORDER})*)?(?: LIMIT \d+)?(?: OFFSET \d+)?"
    r"(?: FOR (?P<lock>NO KEY UPDATE|UPDATE|SHARE|KEY SHARE))?"
)
_VALUE = rf"(?:%s|{_NAMED}|\b(?:NULL|true|false)\b|::[a-z ]+|[-+*/() ]|\d+)+"
_UPDATE = re.compile(
    rf"UPDATE (?P<table>{_COLUMN}) SET (?P<sets>{_COLUMN} = {_VALUE}(?:, {_COLUMN} = {_VALUE})*)"
    rf"(?: WHERE (?P<where>{_WHERE}))?"
)
_SET = re.compile(rf"(?:^|, )({_COLUMN}) = ")
_DELETE = re.compile(rf"DELETE FROM (?P<table>{_COLUMN})(?: WHERE (?P<where>{_WHERE}))?")
_INSERT = re.compile(
    rf"INSERT INTO (?P<table>{_COLUMN}) \({_COLUMN}(?:, {_COLUMN})*\) "
    rf"(?:VALUES (?:%s|DEFAULT|NULL|[(), ])+|SELECT \* FROM UNNEST\([%s():,\[\]a-z 0-9]*\))"
    rf"(?: ON CONFLICT DO NOTHING)?(?: RETURNING {_NAMED}(?:, {_NAMED})*)?"
)
_SILENT = re.compile(rf"(?:SAVEPOINT|RELEASE SAVEPOINT) {_COLUMN}")
_KEYS = re.compile(rf"({_COLUMN})\.({_COLUMN}) (?:= %s|IN \((%s(?:, %s)*)\))")
_QUALIFIER = re.compile(rf"({_COLUMN})\.{_COLUMN}")
_PLAIN = {"SELECT": _SELECT, "UPDATE": _UPDATE, "DELETE": _DELETE, "INSERT": _INSERT}


@lru_cache(64)
def _recognised(sql: str) -> re.Match[str] | None:
    """Return the parts of a plain statement whose columns are all its table's own."""
    plain = _PLAIN.get(sql[:6])
    found = plain.fullmatch(sql) if plain is not None else None
    return found if found and set(_QUALIFIER.findall(sql)) <= {found["table"]} else None


@dataclass(frozen=True)
class Table:
    """What must be known of a table."""

    name: str
    """With its schema."""
    regclass: str
    key: str | None
    """Its primary key, where that is one whole number."""
    plain: frozenset[str]
    """The columns that no key, unique index or foreign key is made of."""
    parents: tuple[str, ...]
    """What its foreign keys refer to."""
    childless: bool
    """Whether no foreign key refers to it."""
    insertable: bool
    """Whether its defaults and indexes call no functions but ``nextval``."""
    sequences: tuple[str, ...] = field(default=())
    """Its own, and those that its defaults draw from."""


class Reaches:
    """Knows the tables of an alias that a recognised statement can be about."""

    def __init__(self, using: str) -> None:
        with connections[using].cursor() as cursor:
            cursor.execute(_DEFERRED_TRIGGERS)
            ((self.deferred_triggers,),) = cursor.fetchall()
            """Whether a COMMIT may do what nobody sees: it is over before anybody can ask."""
            cursor.execute(_TABLES)
            self._tables = {
                quoted: Table(
                    name, regclass, key, frozenset(plain), tuple(parents), childless, insertable, tuple(own)
                )
                for quoted, name, regclass, key, plain, parents, childless, insertable, own in cursor.fetchall()
            }

    def of(self, sql: str, parameters: Any) -> Reach | None:
        """Return all that the statement touches; ``None`` where that is not known."""
        given: Sequence[Any] = parameters or ()
        if not isinstance(given, list | tuple):
            return None
        found = _recognised(sql)
        if found is None:
            return [] if _SILENT.fullmatch(sql) else None
        table = self._tables.get(found["table"])
        if table is None:
            return None
        if found.re is _SELECT:
            return self._rows(table, found["where"], given, (found["lock"] or "read").lower())
        if found.re is _UPDATE:
            return self._updated(table, found, given)
        if found.re is _INSERT:
            return self._inserted(table)
        return self._rows(table, found["where"], given, "delete") if table.childless else None

    def _updated(self, table: Table, found: re.Match[str], given: Sequence[Any]) -> Reach | None:
        if not table.plain.issuperset(_SET.findall(found["sets"])):
            return None
        return self._rows(table, found["where"], given[found["sets"].count("%s") :], "write")

    @staticmethod
    def _inserted(table: Table) -> Reach | None:
        if not table.insertable:
            return None
        touched: Reach = [(table.name, None, "insert")]
        touched.extend((sequence, None, "insert") for sequence in table.sequences)
        touched.extend((parent, None, "key share") for parent in table.parents)
        return touched

    @staticmethod
    def _rows(table: Table, where: str | None, given: Sequence[Any], access: str) -> Reach:
        keyed = _KEYS.fullmatch(where or "")
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in given)
        if keyed is None or keyed[2] != table.key or not given or not whole:
            return [(table.name, None, access)]
        return [(table.name, str(int(value)), access) for value in given]
