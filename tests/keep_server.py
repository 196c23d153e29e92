"""Keeps a server of the distribution as ``_embedded_supervisor`` keeps an embedded one: run as a script."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from django_lockstep._embedded_supervisor import Supervisor

if TYPE_CHECKING:
    import subprocess


class Keeper(Supervisor):
    """Lets the plan's settings win, and asks no more of initdb than that of PostgreSQL 14 knows."""

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__(plan)
        self.is_standby = plan.get("standby", False)
        self.settings |= {"dynamic_shared_memory_type": "mmap", **plan["settings"]}

    def initdb(self) -> None:
        super().initdb()
        if self.is_standby:
            signal = self.data / "standby.signal"
            signal.touch()
            if self.identity:
                os.chown(signal, self.identity["user"], self.identity["group"])

    def spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        known = [argument for argument in arguments if not argument.startswith("--set=")]
        return super().spawn(program, *known)


if __name__ == "__main__":
    raise SystemExit(Keeper(json.loads(sys.argv[1])).run())
