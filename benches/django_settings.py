"""A Django without a project, for the peers that need one."""

from __future__ import annotations

from typing import Any

from benches.place import DATABASE


def databases(socket: str, port: str) -> dict[str, dict[str, Any]]:
    """Return DATABASES for the bench's server."""
    default = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": "postgres",
        "HOST": socket,
        "PORT": port,
        # The server has the database of this name already, and it is the one to be used.
        "TEST": {"NAME": DATABASE},
    }
    return {"default": default}


def configure(socket: str, port: str, **more: Any) -> None:
    """Set Django up on the bench's server."""
    import django
    from django.conf import settings

    settings.configure(DATABASES=databases(socket, port), **more)
    django.setup()
