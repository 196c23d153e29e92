"""The example's own tests, of ``run_together`` and ``provoke_deadlock`` among others, in several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "example_project"
RUNNERS = {
    "manage.py test": ["manage.py", "test", "--parallel=2"],
    "pytest and xdist": [
        *("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=."),
        *("--ds=bank_site.settings", "bank/tests.py"),
    ],
}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.usefixtures("witness")
def test_each_process_has_its_own_database(runner: str, dsn: str) -> None:
    done = subprocess.run(
        [sys.executable, *RUNNERS[runner]],
        cwd=EXAMPLE,
        env={**os.environ, "DATABASE_URL": dsn, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
