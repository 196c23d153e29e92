"""``make bench``: measures everything, and writes a table to the terminal, as Markdown and as JSON.

Exit status 1: a ratio that is to be reached was missed by more than 25 %.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import concurrent_helper
from benches.django_settings import configure
from benches.peers import ABSENT
from benches.place import ROOT, WORKSHOP, machine, place

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- The table is written by make bench BENCH_ARGS=--docs -->\n", "<!-- Here it ends. -->\n"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: dict[float, int]
    """For each ``deadlock_timeout`` (seconds), how often each peer is run."""
    slow: tuple[float, int]
    """At which ``deadlock_timeout`` slow peers are run, and how often."""
    seed: dict[float, int]
    """For each of the article's sleeps (seconds), how often."""
    rates: list[tuple[float, int]]
    """``deadlock_timeout`` (seconds) and pairs."""
    rate_rounds: int
    rate_seconds: float
    ring: list[int]
    ring_rounds: int
    repeats: int
    starts: int
    explored: list[tuple[int, int]]
    explore_seconds: float
    specs: str
    """Which of PostgreSQL's own specs, as a file name's pattern."""


FULL = Plan(
    rounds={1.0: 5, 0.1: 30, 0.01: 200, 0.001: 200},
    slow=(0.01, 10),
    seed={0.1: 20, 5.0: 3},
    rates=[(0.01, 1), (0.01, 4), (0.01, 16), (0.001, 1), (0.001, 4)],
    rate_rounds=5,
    rate_seconds=3,
    ring=[2, 5, 10, 30, 60, 90],
    ring_rounds=7,
    repeats=10_000,
    starts=20,
    explored=[(2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2), (4, 1)],
    explore_seconds=20,
    specs="*",
)
QUICK = Plan(
    rounds={1.0: 1, 0.1: 2, 0.01: 9, 0.001: 3},
    slow=(0.01, 1),
    seed={0.1: 2},
    rates=[(0.01, 1), (0.01, 4)],
    rate_rounds=1,
    rate_seconds=1,
    ring=[2, 30],
    ring_rounds=2,
    repeats=200,
    starts=2,
    explored=[(2, 1), (2, 2)],
    explore_seconds=3,
    specs="deadlock-s*",
)


def main() -> int:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="A sample of everything, in two minutes at most."
    )
    parser.add_argument(
        "--output", type=Path, default=WORKSHOP, metavar="FOLDER", help="Where the results go."
    )
    parser.add_argument("--docs", action="store_true", help="Put the table into docs/benchmarks.md as well.")
    arguments = parser.parse_args()
    # What the environment says about other servers is not meant for this one.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    os.chdir(ROOT)
    WORKSHOP.mkdir(parents=True, exist_ok=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    results, samples = _measure(QUICK if arguments.quick else FULL, quick=arguments.quick)

    from benches.table import tables
    from benches.targets import judge

    targets = judge(results, samples)
    text = tables(results, samples, targets)
    told = results | {
        "deadlocks": [one.to_dict() for one in samples],
        "targets": [target.to_dict() for target in targets],
    }
    (arguments.output / "bench.md").write_text(text, encoding="utf-8")
    (arguments.output / "bench.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    if arguments.docs:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return int(any(target.failed for target in targets))


def _measure(plan: Plan, *, quick: bool) -> tuple[dict[str, Any], list[Any]]:
    start = time.perf_counter()
    with place() as server:
        results: dict[str, Any] = {"quick": quick, "machine": machine(server)}
        try:
            peers = concurrent_helper.install()
            sys.path.append(str(peers))
            configure(server.socket, server.port, **concurrent_helper.settings())
        except ABSENT:
            configure(server.socket, server.port)

        # They import Django's connections, which are there only now.
        from benches import conformance, endurance, exploration, rates, ring, seed, startup, wheel
        from benches import peers as roster

        def told(what: str) -> None:
            sys.stderr.write(f"{time.perf_counter() - start:6.1f} s  {what}\n")

        told("one deadlock, every peer in turns")
        samples = roster.measure(server, plan.rounds, plan.slow)
        told("the article's code")
        results["seed"] = seed.measure(server, plan.seed)
        told("deadlocks a second")
        results["rates"] = rates.measure(server, plan.rates, plan.rate_rounds, plan.rate_seconds)
        told("a ring")
        results["ring"] = ring.measure(server, plan.ring, plan.ring_rounds)
        told("many repeats")
        results["endurance"] = endurance.measure(server, plan.repeats)
        told("start and size")
        results["startup"] = startup.measure(server, plan.starts)
        results["wheel"] = wheel.measure()
        told("explore")
        results["explore"] = exploration.measure(plan.explored, plan.explore_seconds)
    told("PostgreSQL's own specs")
    results["conformance"] = conformance.measure(1, plan.specs)
    results["seconds"] = time.perf_counter() - start
    told("done")
    return results, samples


if __name__ == "__main__":
    sys.exit(main())
