"""The article's way: two forked processes, as it stood first and with ``connections.close_all()`` in the child."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from benches.place import ROOT
from benches.samples import spread

if TYPE_CHECKING:
    from benches.place import Place

HUNG = 15.0
"""Seconds above the sleep after which a run counts as hanging for ever."""


def measure(place: Place, counts: dict[float, int]) -> list[dict[str, Any]]:
    """Run both kinds with each sleep that often, in turns; the server's own ``deadlock_timeout`` of 1 s counts."""
    variants = [(kind, sleep) for sleep in counts for kind in ("flawed", "corrected")]
    ends: dict[tuple[str, float], list[dict[str, Any]]] = {variant: [] for variant in variants}
    for turn in range(max(counts.values())):
        for kind, sleep in variants:
            if turn < counts[sleep]:
                ends[kind, sleep].append(_once(place, kind, sleep))
    return [_summary(kind, sleep, ends[kind, sleep]) for kind, sleep in variants]


def _once(place: Place, kind: str, sleep: float) -> dict[str, Any]:
    """Run it in a process of its own; return what it left."""
    command = [sys.executable, "-m", "benches.seed_program", kind, str(sleep), place.socket, place.port]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT
    ) as process:
        try:
            output, _ = process.communicate(timeout=HUNG + sleep)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"hung": True}
    left: dict[str, Any] = json.loads(output)
    return left


def _summary(kind: str, sleep: float, ends: list[dict[str, Any]]) -> dict[str, Any]:
    told = [end for end in ends if "hung" not in end]
    return {
        "kind": kind,
        "sleep": sleep,
        "runs": len(ends),
        "deadlocked": sum(end["deadlocked"] for end in told),
        "hung": len(ends) - len(told),
        "seconds": spread([end["seconds"] for end in told]),
        "children": dict(Counter(child for end in told for child in end["ends"])),
        "parent_connection": dict(Counter(end["parent_connection"] for end in told)),
    }
