"""Run with ``--parallel=2``: each process has a clone of the test database, and uses that."""

from __future__ import annotations

import json
import time
from pathlib import Path

from django.db import connection
from django.test import TestCase

from django_lockstep import simulate_deadlock
from django_lockstep.dsn import dsn_from_alias

FILE = Path("clones.txt")


class Clone:
    def test_the_clone_is_used(self) -> None:
        report = simulate_deadlock(dsn_from_alias())
        assert report.deadlocked
        name = report.server.database
        assert name == connection.settings_dict["NAME"]
        with FILE.open("a") as file:
            file.write(f"{json.dumps(name)}\n")
        # Until the other process has its turn, so that both clones are used.
        deadline = time.monotonic() + 30
        while len(set(FILE.read_text().splitlines())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)


class First(Clone, TestCase):
    pass


class Second(Clone, TestCase):
    pass
