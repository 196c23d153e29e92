"""PostgreSQL's own isolation specs, by its isolationtester and by ours, where they are beside this clone."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from benches.isolation import Bench, compare
from benches.place import ROOT
from django_lockstep.embedded import EmbeddedServer

SPECS = ROOT.parent / "shared" / "conformance" / "pg18" / "specs"


def measure(rounds: int, pattern: str = "*") -> dict[str, Any] | None:
    """Return both times and their ratio; None where there are no specs."""
    specs = sorted(SPECS.glob(f"{pattern}.spec"))
    if not specs:
        return None
    with EmbeddedServer({"max_prepared_transactions": "10"}) as server, closing(Bench(server)) as bench:
        spent, different = compare(bench, specs, rounds)
    return {
        "specs": len(specs),
        "rounds": rounds,
        "isolationtester": spent["isolationtester"],
        "ours": spent["ours"],
        "ratio": spent["ours"] / spent["isolationtester"],
        "different": sorted(different),
    }
