"""A row of the support matrix, run by that row's own Python: a new project with the wheel, on that row's server.

``site_check.py FOLDER DJANGO DRIVER POSTGRESQL BINARIES``. It needs nothing but what the row installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import django

from django_lockstep.embedded import EmbeddedServer

TESTS = """
from concurrent.futures import ThreadPoolExecutor

from bank.models import Account
from bank.transfers import transfer_naive, transfer_ordered
from django.test import TestCase, TransactionTestCase

from django_lockstep import simulate_deadlock
from django_lockstep.dsn import dsn_from_alias
from django_lockstep.testing import explore, run_together


def accounts():
    Account.objects.all().delete()
    Account.objects.bulk_create([Account(pk=1, owner="Ada", balance=100), Account(pk=2, owner="Bob", balance=100)])


class ScratchTests(TestCase):
    def test_deadlock(self):
        report = simulate_deadlock(dsn_from_alias(), deadlock_timeout=0.1)
        self.assertTrue(report.deadlocked, report.explanation)

    def test_a_ring(self):
        report = simulate_deadlock(dsn_from_alias(), sessions=4, deadlock_timeout=0.1)
        self.assertEqual(len(report.cycle), 4, report.explanation)


    def test_many_threads(self):
        dsn = dsn_from_alias()
        with ThreadPoolExecutor(8) as pool:
            reports = list(pool.map(lambda _: simulate_deadlock(dsn, deadlock_timeout=0.1), range(24)))
        self.assertTrue(all(report.deadlocked for report in reports))


class OwnCodeTests(TransactionTestCase):
    def setUp(self):
        accounts()

    def test_found(self):
        report = run_together(lambda: transfer_naive(1, 2, 5), lambda: transfer_naive(2, 1, 5))
        self.assertTrue(report.deadlocked, report.explanation)

    def test_fixed(self):
        report = run_together(lambda: transfer_ordered(1, 2, 5), lambda: transfer_ordered(2, 1, 5))
        self.assertFalse(report.deadlocked, report.explanation)

    def test_every_order(self):
        result = explore(
            lambda: transfer_naive(1, 2, 5), lambda: transfer_naive(2, 1, 5), setup=accounts
        )
        self.assertTrue(result.deadlocks)
        result = explore(
            lambda: transfer_ordered(1, 2, 5), lambda: transfer_ordered(2, 1, 5), setup=accounts
        )
        self.assertTrue(result.complete)
        self.assertFalse(result.deadlocks)
"""

EXAMPLE = Path(__file__).resolve().parent.parent / "example_project"


def main(folder: Path, version: str, driver: str, postgresql: str, binaries: str) -> None:
    """Make the project, and do what a user does first."""
    assert django.get_version().startswith(version), django.get_version()
    assert shutil.which("cargo") is None, "there is a Rust compiler on the PATH"
    site = folder / "mysite"
    shutil.rmtree(site, ignore_errors=True)
    manage("-m", "django", "startproject", "mysite", cwd=folder)
    shutil.copytree(EXAMPLE / "bank", site / "bank", ignore=shutil.ignore_patterns("tests.py", "__pycache__"))
    quick = {"log_min_messages": "error", "deadlock_timeout": "100ms"}
    with EmbeddedServer(quick, bindir=binaries) as server:
        assert str(server.server_version).split(".")[0] == postgresql, server.server_version
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres"}
        database |= {"HOST": server.socket_dir, "PORT": str(server.port)}
        with (site / "mysite" / "settings.py").open("a", encoding="utf-8") as settings:
            settings.write(
                f"\nINSTALLED_APPS += ['django_lockstep', 'bank']\nDATABASES = {{'default': {database!r}}}\n"
            )
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            enabled = "import sys, django_lockstep; print(sys._is_gil_enabled())"
            assert manage("-W", "error", "-c", enabled, cwd=site).strip() == "False"
        used = "from django.db.backends.postgresql.psycopg_any import is_psycopg3; print(is_psycopg3)"
        assert manage("manage.py", "shell", "-v0", "-c", used, cwd=site).strip() == str(driver == "psycopg")
        manage("manage.py", "check", "--fail-level=WARNING", cwd=site)
        manage("manage.py", "migrate", "-v0", cwd=site)
        manage("manage.py", "loaddata", "-v0", "accounts", cwd=site)
        assert "DEADLOCK after" in manage("manage.py", "deadlock_test", cwd=site)
        manage(
            "manage.py",
            "deadlock_test",
            "--victim",
            "B",
            "--deadlock-timeout",
            "0.1",
            "--isolation",
            "serializable",
            cwd=site,
        )
        manage(
            "manage.py",
            "deadlock_test",
            "--model",
            "bank.Account",
            "--no-input",
            "--deadlock-timeout",
            "0.1",
            cwd=site,
        )
        (site / "bank" / "tests.py").write_text(TESTS, encoding="utf-8")
        manage("manage.py", "test", "--parallel", "2", cwd=site)


def manage(*arguments: str, cwd: Path) -> str:
    """Run it, and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDEVMODE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
