"""Another Python that a test starts, listens to, and may kill."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import TracebackType

PRELUDE = """
import json, os, signal, sys, threading, time
from django_lockstep import simulate_deadlock
dsn = sys.argv[1]
def say(what): print(json.dumps(what), flush=True)
def told(event): say([event.kind, event.session])
"""


class Child:
    """Runs code in which ``say(…)`` is what ``heard()`` returns here; every warning is an error to it."""

    def __init__(self, code: str, *arguments: str) -> None:
        text = PRELUDE + textwrap.dedent(code)
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", text, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def heard(self) -> Any:
        """Return the next thing it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"The child said nothing more. {self.process.communicate()[1]}")
        return json.loads(line)

    def heard_until(self, what: object) -> None:
        """Skip what it says before that."""
        while self.heard() != what:
            pass

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its status and what it wrote to stderr."""
        errors = self.process.communicate(timeout=300)[1]
        return self.process.returncode, errors
