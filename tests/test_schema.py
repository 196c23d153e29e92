"""The JSON Schemas in the package describe what is written as JSON, all of it and nothing else."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from witness import FAST

from django_lockstep import _core, scenarios, simulate_deadlock
from django_lockstep.testing.exploration import Exploration, Finding

SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads((files("django_lockstep") / "schema" / f"{name}-1.json").read_text("utf-8"))
    for name in ("report", "exploration", "matrix")
}
SCHEMA = SCHEMAS["report"]
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
VALIDATORS = {name: Draft202012Validator(schema, registry=REGISTRY) for name, schema in SCHEMAS.items()}
VALIDATOR = VALIDATORS["report"]
STORIES = [
    (what, path)
    for what, pattern in (("report", "json"), ("exploration", "exploration_json"), ("matrix", "matrix_json"))
    for path in sorted((Path(__file__).parent / "snapshots").glob(f"faces__{pattern}_*.snap"))
]


@pytest.mark.parametrize("what", SCHEMAS)
def test_the_schema_is_one(what: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[what])


def test_the_outcomes_and_kinds_are_those_that_there_are() -> None:
    assert SCHEMA["properties"]["outcome"]["enum"] == list(_core.OUTCOMES)
    kinds = SCHEMAS["exploration"]["$defs"]["finding"]["properties"]["kind"]["enum"]
    doc = (Path(_core.__file__).parent / "testing" / "exploration.py").read_text("utf-8")
    assert all(f"``{kind}``" in doc for kind in kinds)


@pytest.mark.parametrize(("what", "snapshot"), STORIES, ids=lambda told: getattr(told, "stem", told))
def test_every_story_is_valid(what: str, snapshot: Path) -> None:
    told = snapshot.read_text(encoding="utf-8").split("---\n", 2)[2]
    VALIDATORS[what].validate(json.loads(told))


def test_there_are_stories() -> None:
    assert len(STORIES) >= 8


def test_a_real_matrix_is_valid(dsn: str) -> None:
    told = _core.run_matrix(list(scenarios())[:1], dsn, deadlock_timeout=FAST).to_dict()
    VALIDATORS["matrix"].validate(told)
    assert {cell["effect"] for row in told["rows"] for cell in row["cells"]} > {"40P01"}
    told["rows"][0]["cells"][0]["effect"] = 1
    assert not VALIDATORS["matrix"].is_valid(told)


def test_an_exploration_of_a_real_report_is_valid(dsn: str) -> None:
    report = simulate_deadlock(dsn, deadlock_timeout=FAST)
    found = Exploration((Finding("deadlock", "the cycle", "A B A B", 2, report, 3),), schedules=6)
    told = found.to_dict()
    VALIDATORS["exploration"].validate(told)
    assert told["sessions"] == ["A", "B"]
    assert told["findings"][0]["report"] == report.to_dict()
    changes: tuple[dict[str, object], ...] = ({"kind": "surprise"}, {"report": {}}, {"seen": -1})
    for broken in changes:
        assert not VALIDATORS["exploration"].is_valid({**told, "findings": [told["findings"][0] | broken]})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sessions": 5},
        {"lock": "share"},
        {"lock": "advisory"},
        {"lock_timeout": 0.005},
        {"statement_timeout": 0.005},
        {"timeout": 0.3, "deadlock_timeout": 30},
        {"note_locks": False},
    ],
    ids=str,
)
def test_every_real_report_is_valid(dsn: str, options: dict[str, Any]) -> None:
    report = simulate_deadlock(dsn, **({"deadlock_timeout": FAST} | options))
    VALIDATOR.validate(report.to_dict())
    assert json.loads(report.to_json()) == report.to_dict()


def test_a_field_too_many_or_too_few_is_noticed(dsn: str) -> None:
    told = simulate_deadlock(dsn, deadlock_timeout=FAST).to_dict()
    assert not VALIDATOR.is_valid(told | {"more": 1})
    for name in told:
        assert not VALIDATOR.is_valid({key: value for key, value in told.items() if key != name})
    told["sessions"][0]["statements"][0]["locks"] = None
    assert not VALIDATOR.is_valid(told)
