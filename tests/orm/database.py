"""The database that callables run on."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from witness import tables_made

from orm import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def orm_on(dsn: str) -> Iterator[str]:
    """Make the database and its tables; drop it, which fails if somebody is still connected."""
    tables_made(dsn, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"CREATE DATABASE {DATABASE}")
    parts = conninfo_to_dict(make_conninfo(dsn, dbname=DATABASE))
    names = {"USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    for alias in connections:
        connections.databases[alias].update({name: parts.get(part) or "" for name, part in names.items()})
    call_command("migrate", run_syncdb=True, verbosity=0)
    connections.close_all()
    yield make_conninfo(dsn, dbname=DATABASE)
    connections.close_all()
    tables_made(dsn, f"DROP DATABASE {DATABASE}")


def emptied() -> None:
    """Leave every table as it was made."""
    call_command("flush", interactive=False, verbosity=0)
    connection.close()


def sessions_of(dsn: str) -> list[tuple[str, ...]]:
    """Return who else is connected to the database."""
    with closing(psycopg.connect(dsn, autocommit=True)) as asking:
        return asking.execute(
            "SELECT application_name, state, wait_event, query FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
