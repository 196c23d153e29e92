"""Large objects, which are in no table of the user's and are put back all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN = "FROM pg_largeobject_metadata WHERE pg_has_role(lomowner, 'USAGE')"
_KEPT = f"SELECT oid::bigint, md5(lo_get(oid)), encode(lo_get(oid), 'hex') {_OWN}"
_NOW = f"SELECT oid::bigint, md5(lo_get(oid)) {_OWN}"
_WRITE = 0x20000
"""``INV_WRITE`` of PostgreSQL's ``libpq-fs.h``."""


class LargeObjects:
    """Those that this role may write: what they held at the start, and how to put it back.

    One that was deleted comes back as this role's own, without its grants and comment.
    """

    def __init__(self, asked: Callable[[str], list[tuple[int, str, str]]]) -> None:
        self._kept = {number: (digest, content) for number, digest, content in asked(_KEPT)}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def restoring(self, asked: Callable[[str], list[tuple[int, str]]]) -> Iterator[str]:
        """Return the statements that put back what has changed."""
        now = dict(asked(_NOW))
        for number in now.keys() - self._kept.keys():
            yield f"SELECT lo_unlink({number})"
        for number, (digest, content) in self._kept.items():
            if number not in now:
                yield f"SELECT lo_from_bytea({number}, '\\x{content}')"
            elif now[number] != digest:
                yield f"SELECT lo_truncate64(lo_open({number}, {_WRITE}), 0)"
                yield f"SELECT lo_put({number}, 0, '\\x{content}')"
