"""The JSON Schema in the package describes what reports write, all of it and nothing else."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from witness import FAST

from django_lockstep import _core, simulate_deadlock

SCHEMA: dict[str, Any] = json.loads(
    (files("django_lockstep") / "schema" / "report-1.json").read_text("utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)
SNAPSHOTS = sorted((Path(__file__).parent / "snapshots").glob("faces__json_*.snap"))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["outcome"]["enum"] == list(_core.OUTCOMES)


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem.removeprefix("faces__json_"))
def test_every_story_is_valid(snapshot: Path) -> None:
    told = snapshot.read_text(encoding="utf-8").split("---\n", 2)[2]
    VALIDATOR.validate(json.loads(told))


def test_there_are_stories() -> None:
    assert len(SNAPSHOTS) >= 6


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
