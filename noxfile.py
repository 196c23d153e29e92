"""`make matrix`: the support matrix, a fresh environment a row, each with the wheel and no Rust on the PATH.

`nox -s matrix -- --ends` runs the lowest and the highest of everything that is here, `--python 3.12` one CPython's
rows; with `--nothing-missing` an interpreter or a server that is not here is a failure, not a line of the summary.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "tools"))

import support

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["matrix"]

DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}


@nox.session(python=False)
def matrix(session: nox.Session) -> None:
    """Run every row, then say what was missing."""
    parser = argparse.ArgumentParser(prog="nox -s matrix --")
    parser.add_argument("--wheels", type=Path, default=Path("dist"), help="where the wheels are")
    parser.add_argument("--ends", action="store_true", help="the lowest and the highest that are here")
    parser.add_argument("--python", help="one CPython's rows only")
    parser.add_argument("--nothing-missing", action="store_true", help="fail if anything is not here")
    options = parser.parse_args(session.posargs)
    rows = [
        row
        for row in (support.ends() if options.ends else support.rows())
        if options.python in {None, row.python}
    ]
    missing: dict[str, None] = {}
    passed: list[support.Row] = []
    for row in rows:
        python, server = support.interpreter(row.python), support.binaries(row.postgresql)
        if python is None:
            missing[f"CPython {row.python}"] = None
        if server is None:
            missing[f"PostgreSQL {row.postgresql}"] = None
        if python and server:
            session.log(str(row))
            run(session, row, python, server, options.wheels.resolve())
            passed.append(row)
    if options.ends:  # what the whole matrix would need
        missing |= dict.fromkeys(
            f"CPython {each}" for each in support.matrix()["python"] if not support.interpreter(each)
        )
        missing |= dict.fromkeys(
            f"PostgreSQL {each}" for each in support.matrix()["postgresql"] if not support.binaries(each)
        )
    for row in passed:
        session.log(f"passed: {row}")
    for each in missing:
        session.warn(f"missing here: {each}")
    session.log(f"{len(passed)} rows passed, {len(rows) - len(passed)} not run")
    if not passed or (missing and options.nothing_missing):
        session.error("not all of it could be run")


def run(session: nox.Session, row: support.Row, python: str, server: str, wheels: Path) -> None:
    """One row, in an environment and a folder of its own."""
    home = Path(session.create_tmp()) / str(row).replace(", ", "-").replace(" ", "")
    venv = home / "venv"
    session.run(python, "-m", "venv", "--clear", str(venv), external=True, silent=True)
    program = str(venv / "bin" / "python")
    clean: dict[str, str | None] = {
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    hidden = ("PYTHONPATH", "DATABASE_URL", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV", "LOCKSTEP_TEST_DSN")
    clean |= dict.fromkeys(hidden)  # None: not in the environment
    command = (
        program,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--find-links",
        str(wheels),
        "--only-binary=:all:",
        "--pre",
    )
    session.run(*command[:-1], f"Django=={row.django}.*", DRIVERS[row.driver], external=True, env=clean)
    # Only ours may be a pre-release, and it must be the one that was built, not one from an index.
    session.run(*command, "--no-index", "--no-deps", "django-lockstep", external=True, env=clean)
    session.run(*command[:-1], "rich>=13.7", external=True, env=clean)
    check = (program, "-W", "error::ResourceWarning", str(Path("tests/site_check.py").resolve()), str(home))
    session.run(*check, row.django, row.driver, row.postgresql, server, external=True, env=clean)
