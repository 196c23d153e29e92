"""django-concurrent-test-helper, the closest package on PyPI: each call is a ``manage.py`` process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benches.place import ROOT, WORKSHOP, milliseconds
from benches.samples import Run

if TYPE_CHECKING:
    from pathlib import Path

    from benches.place import Place

NAME = "django-concurrent-test-helper"
PACKAGE = "django-concurrent-test-helper==0.7.0"
SLEEP = 0.5
"""How long each process holds its first lock; it has no means to bring two calls together, and they start apart."""
MANAGE = """#!{python}
import sys
sys.path[:0] = [{root!r}, {peers!r}]
from benches.concurrent_helper import settings
from benches.django_settings import configure
configure({socket!r}, {port!r}, **settings())
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def settings() -> dict[str, Any]:
    """Return what it wants in a project's settings."""
    return {"INSTALLED_APPS": ["django_concurrent_tests"], "MANAGE_PY_PATH": str(WORKSHOP / "manage.py")}


def install() -> Path:
    """Install it beside the project's environment, once; raises CalledProcessError where that is not possible."""
    peers = WORKSHOP / "peers"
    if not (peers / "django_concurrent_tests").exists():
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*command, "--target", str(peers), PACKAGE], check=True, capture_output=True)
    return peers


def run(place: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock, perhaps."""
    peers = install()
    manage = WORKSHOP / "manage.py"
    told = {"python": sys.executable, "root": str(ROOT), "peers": str(peers)}
    manage.write_text(MANAGE.format(socket=place.socket, port=place.port, **told), encoding="utf-8")
    manage.chmod(0o755)
    if str(peers) not in sys.path:
        sys.path.append(str(peers))
    from django_concurrent_tests.helpers import make_concurrent_calls

    given = {"milliseconds": milliseconds(deadlock_timeout), "sleep": SLEEP}
    start = time.perf_counter()
    ends = make_concurrent_calls(
        *(
            ("benches.concurrent_helper:locks", {"first": first, "second": second, **given})
            for first, second in ((7, 8), (8, 7))
        )
    )
    total = time.perf_counter() - start
    victims = [name for name, end in zip("AB", ends, strict=True) if end == "40P01"]
    return Run(total, None, bool(victims), next(iter(victims), None))


def locks(first: int, second: int, milliseconds: int, sleep: float) -> str:
    """Lock two rows; called in a process that the package starts."""
    from django.db import OperationalError, connection, transaction

    from benches.place import TABLE

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL deadlock_timeout = '{milliseconds}ms'")
            cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [first])
            time.sleep(sleep)
            cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [second])
    except OperationalError as error:
        return str(getattr(error.__cause__, "sqlstate", error))
    return "through"
