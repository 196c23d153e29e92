"""A statement as a report shows it: its name, and its text with its parameters."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

PARAMETER = 40
"""So many characters of a parameter are shown, …"""
PARAMETERS = 160
"""… and so many of all of them."""

_NAME = r'((?:"[^"]*"|[\w$]+)(?:\.(?:"[^"]*"|[\w$]+))*)'
_TABLE = {
    "SELECT": re.compile(rf"\bFROM\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
    "INSERT": re.compile(rf"\bINTO\s+{_NAME}", re.IGNORECASE),
    "UPDATE": re.compile(rf"\bUPDATE\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
    "DELETE": re.compile(rf"\bFROM\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
    "DECLARE": re.compile(rf"\bFROM\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
    "CALL": re.compile(rf"\bCALL\s+{_NAME}", re.IGNORECASE),
    "LOCK": re.compile(rf"\bLOCK\s+(?:TABLE\s+)?(?:ONLY\s+)?{_NAME}", re.IGNORECASE),
}
_LOCKING = re.compile(r"\bFOR\s+((?:NO\s+KEY\s+)?UPDATE|(?:KEY\s+)?SHARE)\b", re.IGNORECASE)
_TWO_WORDS = re.compile(r"\s*(\w+)(?:\s+(\w+))?")
_KEPT = 64
"""A search runs the same few statements again and again."""
_ENDS = {"COMMIT": "commit", "END": "commit", "ROLLBACK": "rollback", "ABORT": "rollback"}


@lru_cache(_KEPT)
def name_of(sql: str) -> str:
    """Return what a reader calls the statement: ``SELECT FOR UPDATE bank_account``, ``SAVEPOINT``, …."""
    words = _TWO_WORDS.match(sql)
    if words is None:
        return sql.strip()[:PARAMETER] or "an empty statement"
    verb = words[1].upper()
    if verb == "RELEASE":
        return "RELEASE SAVEPOINT"
    if verb == "ROLLBACK" and (words[2] or "").upper() == "TO":
        return "ROLLBACK TO SAVEPOINT"
    if verb in {"SAVEPOINT", *_ENDS}:
        return verb
    if verb not in _TABLE:
        return " ".join(word.upper() for word in words.groups() if word)
    table = _TABLE[verb].search(sql)
    locking = _LOCKING.search(sql)
    parts = [verb]
    if locking is not None and verb in {"SELECT", "DECLARE"}:
        parts.append(" ".join(locking[0].upper().split()))
    if table is not None:
        parts.append(table[1].replace('"', ""))
    return " ".join(parts)


@lru_cache(_KEPT)
def ends_transaction(sql: str) -> str | None:
    """Return the kind of step that the statement is, if it ends a transaction by its text."""
    words = _TWO_WORDS.match(sql)
    if words is None or (words[2] or "").upper() in {"TO", "PREPARED"}:
        return None
    return _ENDS.get(words[1].upper())


def shown(parameters: Any, *, many: bool = False) -> str | None:
    """Return a statement's parameters, shortened; ``None`` where it has none."""
    if not parameters:
        return None
    if many:
        rows = list(parameters)
        return f"{len(rows)} × {_listed(rows[0]) if rows else ''}"
    return _listed(parameters)


def text_of(sql: Any, connection: Any) -> str:
    """Return the text of what may also be bytes or one of psycopg's ``Composable``."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return str(sql.as_string(connection)) if hasattr(sql, "as_string") else str(sql)


def _listed(parameters: Any) -> str:
    items = parameters.items() if isinstance(parameters, dict) else ((None, value) for value in parameters)
    text = ", ".join(_short(value) if name is None else f"{name}={_short(value)}" for name, value in items)
    return text if len(text) <= PARAMETERS else f"{text[: PARAMETERS - 1]}…"


def _short(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, int) and not isinstance(value, bool):
        value = int(value)  # not psycopg's Int4
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 a repr of the user's own may raise anything
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= PARAMETER else f"{text[: PARAMETER - 1]}…"
