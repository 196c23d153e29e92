"""``make bench`` in its quick mode: it runs, and writes the same three times. What it measured is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from fresh import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PEERS = {
    "floor (libpq)",
    "by hand (threads)",
    "simulate_deadlock",
    "simulate_deadlock, victim B",
    "isolationtester",
    "django-concurrent-test-helper",
}


def test_quick_mode_measures_everything_and_writes_it_three_times(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benches", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout == (tmp_path / "bench.md").read_text(encoding="utf-8")
    results = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert done.returncode == int(any(target["failed"] for target in results["targets"]))
    for target in results["targets"]:
        assert f"| {target['what']} " in done.stdout
        assert not (target["failed"] and target["reached"])
    assert {one["peer"] for one in results["deadlocks"]} == PEERS
    for one in results["deadlocks"]:
        assert one["runs"] or one["failure"]
        if one["peer"].startswith("simulate_deadlock"):
            assert one["share_deadlocked"] == 1
        if one["peer"] == "simulate_deadlock, victim B":
            assert one["victims"] == {"B": one["runs"]}
    assert [row["runs_without_deadlock"] for row in results["rates"]] == [0] * len(results["rates"])
    assert [row["share_with_chosen_victim"] for row in results["endurance"]] == [1, 1]
    assert all(row["schedules"] for row in results["explore"])
    assert {row["kind"] for row in results["seed"]} == {"flawed", "corrected"}
    assert not results["conformance"] or results["conformance"]["different"] == []
