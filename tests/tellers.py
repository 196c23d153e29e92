"""Aliases of ordinary roles, which cannot set ``deadlock_timeout``, on the database of ``orm``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections
from orm.database import orm_on
from psycopg.conninfo import conninfo_to_dict
from witness import tables_made

if TYPE_CHECKING:
    from collections.abc import Iterator

TELLERS = {"teller": "300ms", "hasty": "10ms"}
"""The aliases, and their roles' ``deadlock_timeout``; that of ``default``, a superuser, is the teller's."""
_PASSWORD = "Hunter2-teller"


@contextmanager
def tellers_on(dsn: str) -> Iterator[None]:
    """Make the database, the roles and the aliases, and remove them."""
    roles = {alias: f"suite_{alias}" for alias in TELLERS}
    tables_made(dsn, *(f"DROP ROLE IF EXISTS {role}" for role in roles.values()))
    with orm_on(dsn) as own:
        database = conninfo_to_dict(own)["dbname"]
        tables_made(own, f"ALTER DATABASE {database} SET deadlock_timeout = '{TELLERS['teller']}'")
        for alias, role in roles.items():
            tables_made(
                own,
                f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}'",
                f"ALTER ROLE {role} SET deadlock_timeout = '{TELLERS[alias]}'",
                f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
            )
            connections.databases[alias] = {
                **connections.databases["default"],
                "USER": role,
                "PASSWORD": _PASSWORD,
            }
        yield
        for alias in roles:
            connections[alias].close()
            del connections[alias]
            del connections.databases[alias]
        tables_made(own, *(f"DROP OWNED BY {role}" for role in roles.values()))
    tables_made(dsn, *(f"DROP ROLE {role}" for role in roles.values()))
