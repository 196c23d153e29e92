"""Keeps a server of the distribution as ``_embedded_supervisor`` keeps an embedded one: run as a script."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django_lockstep._embedded_supervisor import Supervisor

if TYPE_CHECKING:
    import subprocess


class Keeper(Supervisor):
    """Lets the plan's settings win, and asks no more of initdb than that of PostgreSQL 14 knows."""

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__(plan)
        self.settings |= {"dynamic_shared_memory_type": "mmap", **plan["settings"]}

    def spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        known = [argument for argument in arguments if not argument.startswith("--set=")]
        return super().spawn(program, *known)


if __name__ == "__main__":
    raise SystemExit(Keeper(json.loads(sys.argv[1])).run())
