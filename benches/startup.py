"""What ``import django_lockstep`` and the command ``deadlock_test`` add to a Python and a ``manage.py`` that start."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benches.place import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from benches.place import Place

COUNT = "import sys; before = set(sys.modules); import django_lockstep; print(len(set(sys.modules) - before))"


def measure(place: Place, rounds: int) -> dict[str, Any]:
    """Return medians of so many starts, in turns."""
    python = [sys.executable, "-c"]
    manage = [sys.executable, "manage.py"]
    commands: dict[str, tuple[list[str], Path]] = {
        "python": ([*python, "pass"], ROOT),
        "import": ([*python, "import django_lockstep"], ROOT),
        "manage.py": ([*manage, "check", "--version"], ROOT / "example_project"),
        "deadlock_test": ([*manage, "deadlock_test", "--version"], ROOT / "example_project"),
    }
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://postgres@/postgres?host={place.socket}&port={place.port}"
    }
    # An installed package has its modules compiled; one that runs from its folder has them from the first turn on.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    spent: dict[str, list[float]] = {name: [] for name in commands}
    # The first turn is for the files' cache.
    for turn in range(-1, rounds):
        for name, (command, folder) in commands.items():
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
            if turn >= 0:
                spent[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    counted = subprocess.run([*python, COUNT], capture_output=True, text=True, check=True, cwd=ROOT)
    return {
        "seconds": medians,
        "import_above_python": medians["import"] - medians["python"],
        "modules": int(counted.stdout),
        "deadlock_test_to_manage": medians["deadlock_test"] / medians["manage.py"],
    }
