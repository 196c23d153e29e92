"""Connection settings from Django, resolved when they are asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.utils.connection import ConnectionDoesNotExist

from django_lockstep._core import dsn_from_params, dsn_resolved
from django_lockstep.exceptions import ConnectionFailed, UsageError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["dsn_from_alias", "isolation_from_alias"]


def dsn_from_alias(using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the DSN of a database alias, a libpq keyword/value string with the password in it.

    It is what Django itself would connect with at this moment: under the test runner the database is ``test_…``,
    with ``--parallel`` this process's own clone. ``assume_role`` becomes a start-up option, so that the role is
    assumed as soon as a session begins. Raises ``UsageError`` for an alias that does not exist and
    ``ConnectionFailed`` for one that is not PostgreSQL or is not configured.
    """
    connection = _postgresql(using)
    dsn = dsn_from_params(_connection_params(connection))
    if role := connection.settings_dict["OPTIONS"].get("assume_role"):
        # Given options would hide those of the service and of PGOPTIONS.
        options = dsn_resolved(dsn).get("options", "")
        escaped = str(role).replace("\\", "\\\\").replace(" ", "\\ ")
        dsn += " " + dsn_from_params({"options": f"{options} -c role={escaped}".lstrip()})
    return dsn


def isolation_from_alias(using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the isolation level of a database alias: its ``OPTIONS["isolation_level"]``, or else "read committed".

    PostgreSQL runs READ UNCOMMITTED as READ COMMITTED, so that is what it is called. Raises as ``dsn_from_alias``
    does, and ``ConnectionFailed`` for a level that does not exist.
    """
    given = _postgresql(using).settings_dict["OPTIONS"].get("isolation_level")
    if given is None:
        return "read committed"
    # psycopg 3 and psycopg2 number the levels differently; Django has the installed driver's.
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    try:
        name = IsolationLevel(given).name.lower().replace("_", " ")
    except ValueError as error:
        hint = "Use one of psycopg.IsolationLevel (psycopg2: psycopg2.extensions.ISOLATION_LEVEL_…)."
        message = (
            f'The isolation_level in OPTIONS of database alias "{using}" does not exist: {given!r}. {hint}'
        )
        raise ConnectionFailed(message, hint=hint) from error
    return "read committed" if name == "read uncommitted" else name


def primary_of(using: str) -> str | None:
    """Return the alias to use in place of a read-only replica.

    That is the one which it mirrors in tests, or to which the routers send the writes of most models; ``None`` if
    neither names another PostgreSQL.
    """
    mirrored = connections[using].settings_dict["TEST"]["MIRROR"]
    writes = Counter(router.db_for_write(model) for model in apps.get_models() if not model._meta.proxy)
    candidates = [mirrored, *(alias for alias, _ in writes.most_common())]
    return next((alias for alias in candidates if alias and alias != using and is_postgresql(alias)), None)


def is_postgresql(using: str) -> bool:
    """Whether the alias is PostgreSQL's, or that of a backend made from it such as PostGIS."""
    try:
        return connections[using].vendor == "postgresql"
    except (ConnectionDoesNotExist, ImproperlyConfigured):
        return False


def _connection_params(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    using = connection.alias
    try:
        params: dict[str, Any] = connection.get_connection_params()
    except ImproperlyConfigured as error:
        message = f'Database alias "{using}" is not fully configured: {error} Complete DATABASES["{using}"].'
        raise ConnectionFailed(message) from error
    return params


def _postgresql(using: str) -> BaseDatabaseWrapper:
    try:
        # Django looks for an attribute of this name.
        connection: BaseDatabaseWrapper = connections[str(using)]
    except ConnectionDoesNotExist as error:
        known = ", ".join(f'"{alias}"' for alias in connections)
        hint = f"The aliases in DATABASES are {known}."
        raise UsageError(f'There is no database alias "{using}". {hint}', hint=hint) from error
    except ImproperlyConfigured as error:
        message = (
            f'The ENGINE of database alias "{using}" cannot be loaded. Install its driver, or correct ENGINE.'
        )
        raise ConnectionFailed(message) from error
    if connection.vendor != "postgresql":
        hint = "Name another alias, or see a deadlock without any server: deadlock_test --embedded."
        engine = connection.settings_dict["ENGINE"]
        what = "has no ENGINE" if engine.endswith(".dummy") else f"is {connection.display_name} ({engine})"
        message = f'Database alias "{using}" {what}, and only PostgreSQL will do. {hint}'
        raise ConnectionFailed(message, hint=hint)
    return connection
