"""`make matrix`: the support matrix, a fresh environment a row, each with the wheel and no Rust on the PATH.

`nox -s matrix -- --ends` runs the lowest and the highest of everything that is here, `--python 3.12` one CPython's
rows; with `--nothing-missing` an interpreter or a server that is not here is a failure, not a line of the summary. A
row that fails does not keep the others from running.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "tools"), str(HERE / "tests")]

import support  # noqa: E402 - of this repository
from fresh import built_wheel  # noqa: E402

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["matrix"]

DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}


@nox.session(python=False)
def matrix(session: nox.Session) -> None:
    """Run every row, then say what was missing."""
    parser = argparse.ArgumentParser(prog="nox -s matrix --")
    parser.add_argument("--ends", action="store_true", help="the lowest and the highest that are here")
    parser.add_argument("--python", help="one CPython's rows only")
    parser.add_argument("--nothing-missing", action="store_true", help="fail if anything is not here")
    options = parser.parse_args(session.posargs)
    rows = [
        row
        for row in (support.ends() if options.ends else support.rows())
        if options.python in {None, row.python}
    ]
    passed: list[support.Row] = []
    failed: list[support.Row] = []
    for row in rows:
        python, server = support.interpreter(row.python), support.binaries(row.postgresql)
        if python and server:
            session.log(str(row))
            try:
                run(session, row, python, server)
                passed.append(row)
            except CommandFailed:
                failed.append(row)
    for row in passed:
        session.log(f"passed: {row}")
    missing = support.missing(support.rows() if options.ends else rows)
    for each in missing:
        session.warn(f"missing here: {each}")
    for row in failed:
        session.warn(f"FAILED: {row}")
    ran = len(passed) + len(failed)
    session.log(f"{len(passed)} rows passed, {len(failed)} failed, {len(rows) - ran} not run")
    if failed:
        session.error("a row failed")
    if not passed or (missing and options.nothing_missing):
        session.error("not all of it could be run")


def run(session: nox.Session, row: support.Row, python: str, server: str) -> None:
    """One row, in an environment and a folder of its own."""
    home = Path(session.create_tmp()) / str(row).replace(", ", "-").replace(" ", "")
    venv = home / "venv"
    program = str(venv / "bin" / "python")
    # A free-threaded CPython takes no wheel with the stable ABI, but one of its own.
    wheel = str(built_wheel(python if row.python.endswith("t") else None))
    packages = (wheel, f"Django=={row.django}.*", DRIVERS[row.driver])
    uv = str(Path(sys.executable).with_name("uv"))
    clean: dict[str, str | None] = {"PATH": f"{venv / 'bin'}:/usr/bin:/bin"}
    hidden = ("PYTHONPATH", "DATABASE_URL", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV", "LOCKSTEP_TEST_DSN")
    clean |= dict.fromkeys(hidden)  # None: not in the environment
    session.run(uv, "venv", "--quiet", "--clear", "--python", python, str(venv), external=True, env=clean)
    install = (uv, "pip", "install", "--quiet", "--python", program, "--only-binary=:all:")
    session.run(*install, "--prerelease=if-necessary-or-explicit", *packages, external=True, env=clean)
    check = (program, "-W", "error::ResourceWarning", str(HERE / "tests" / "site_check.py"), str(home))
    session.run(*check, row.django, row.driver, row.postgresql, server, external=True, env=clean)
