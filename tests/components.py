"""Real components that come from the distribution: where they are, and what to say when they are not here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def needs(found: Path | None, what: str, package: str) -> Path:
    """Return what was found; without it the test is skipped, or fails where nothing may be missing."""
    if found is None:
        reason = f"needs {what} (Debian: apt-get install {package})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def postgresql_with_tls() -> Path:
    """Return the folder of a PostgreSQL server's binaries that were built with OpenSSL."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
    if pg_config := shutil.which("pg_config"):
        places.insert(0, Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip()))
    found = [place for place in places if (place / "postgres").exists() and (place / "initdb").exists()]
    return needs(found[-1] if found else None, "a PostgreSQL server with TLS", "postgresql")


def pgbouncer() -> Path:
    """Return PgBouncer's executable, which is often not on an ordinary user's PATH."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return needs(Path(found) if found else None, "PgBouncer", "pgbouncer")


def ordinary_user() -> dict[str, Any]:
    """Return the arguments that make subprocess.Popen run something as an ordinary user."""
    return {"user": "nobody", "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def give_to_ordinary_user(path: Path) -> None:
    """Let an ordinary user own it."""
    if os.geteuid() == 0:
        shutil.chown(path, "nobody")


def chromium() -> Path:
    """Return the browser's executable."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return needs(Path(found) if found else None, "Chromium", "chromium")
