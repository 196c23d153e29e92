"""Connection settings from Django, resolved when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.connection import ConnectionDoesNotExist

from django_lockstep._core import dsn_from_params
from django_lockstep.exceptions import ConnectionFailed, UsageError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def dsn_from_alias(using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the DSN of a database alias, a libpq keyword/value string with the password in it.

    It is what Django itself would connect with at this moment: under the test runner the database is ``test_…``,
    with ``--parallel`` this process's own clone. Raises ``UsageError`` for an alias that does not exist and
    ``ConnectionFailed`` for one that is not PostgreSQL or is not configured.
    """
    return dsn_from_params(_connection_params(using))


def own_backend_pids() -> list[int]:
    """Return the backends of the connections that this thread has open through Django."""
    pids = []
    for connection in connections.all(initialized_only=True):
        driver = getattr(connection, "connection", None)
        if connection.vendor == "postgresql" and driver is not None and not driver.closed:
            info = getattr(driver, "info", None)
            pids.append(int(info.backend_pid if info is not None else driver.get_backend_pid()))
    return pids


def _connection_params(using: str) -> dict[str, Any]:
    connection = _postgresql(using)
    try:
        params: dict[str, Any] = connection.get_connection_params()
    except ImproperlyConfigured as error:
        message = f'Database alias "{using}" is not fully configured: {error} Complete DATABASES["{using}"].'
        raise ConnectionFailed(message) from error
    return params


def _postgresql(using: str) -> BaseDatabaseWrapper:
    try:
        connection: BaseDatabaseWrapper = connections[using]
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
