"""Settings of the example: PostgreSQL by DATABASE_URL, which manage.py provides when nobody else does."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def database_from_url(url: str) -> dict[str, Any]:
    """Return Django's settings for a postgresql:// URI; ``?host=``, ``?port=`` win, the rest is OPTIONS."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must be a PostgreSQL URI, such as postgresql://user@host/name."
        )
    options = dict(parse_qsl(parts.query))
    port = options.pop("port", str(parts.port or ""))
    # Not parts.hostname, which is in lower case: a percent-encoded socket's folder is a host, too.
    host = options.pop("host", unquote(parts.netloc.rpartition("@")[2].removesuffix(f":{port}").strip("[]")))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
    }


SECRET_KEY = "an example has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = ["django_lockstep", "bank"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bank_site.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# Without DATABASE_URL there is no database, and no need of one: `manage.py help` works.
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])} if "DATABASE_URL" in os.environ else {}
