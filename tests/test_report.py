"""``Report`` and its parts: frozen, comparable, and the same story as a dict, as JSON and as text."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from witness import FAST

from django_lockstep import Event, Report, Server, SessionReport, Statement, simulate_deadlock
from django_lockstep._core import Timeline


@pytest.fixture
def report(dsn: str) -> Report:
    return simulate_deadlock(dsn, deadlock_timeout=FAST)


def parts(report: Report) -> list[object]:
    session = report.sessions[0]
    return [report, session, session.statements[0], report.events[0], report.server]


def test_every_part_is_frozen(report: Report) -> None:
    for part in parts(report):
        for name in [name for name in dir(part) if not name.startswith("_")]:
            with pytest.raises(AttributeError):
                setattr(part, name, None)
        with pytest.raises(AttributeError):
            setattr(part, "anything_new", 1)  # noqa: B010 - a checker would refuse the assignment


@pytest.mark.parametrize("kind", [Report, SessionReport, Statement, Event, Server])
def test_parts_come_only_from_a_run(kind: type) -> None:
    with pytest.raises(TypeError):
        kind()


def test_lists_are_tuples(report: Report) -> None:
    session = report.sessions[0]
    for many in (
        report.victims,
        report.cycle,
        report.sessions,
        report.events,
        report.notes,
        session.statements,
        report.events[0].blocked_by,
    ):
        assert type(many) is tuple


def test_parts_compare_by_value(report: Report) -> None:
    for one, other in zip(parts(report), parts(report), strict=True):
        assert one == other
        assert (one != other) is False
        assert one != object()
    assert report.sessions[0] != report.sessions[1]
    assert report.events[0] != report.events[1]


def test_dict_and_json_and_attributes_agree(report: Report) -> None:
    told = report.to_dict()
    assert json.loads(report.to_json()) == told
    assert told["schema_version"] == 1
    for name in ("outcome", "deadlocked", "elapsed", "explanation"):
        assert told[name] == getattr(report, name)
    for name in ("victims", "cycle", "notes"):
        assert told[name] == list(getattr(report, name))
    compare(told["server"], report.server)
    for told_session, session in zip(told["sessions"], report.sessions, strict=True):
        statements = told_session.pop("statements")
        compare(told_session, session)
        for told_statement, statement in zip(statements, session.statements, strict=True):
            compare(told_statement, statement)
    for told_event, event in zip(told["events"], report.events, strict=True):
        compare(told_event, event)


def compare(told: dict[str, Any], part: object) -> None:
    # What a callable returned or raised is an object, of which no JSON could tell.
    objects = {"result", "exception"}
    public = {name for name in dir(part) if not name.startswith("_") and not callable(getattr(part, name))}
    assert set(told) | {"statements"} == public - objects | {"statements"}
    for name, value in told.items():
        attribute = getattr(part, name)
        assert (list(attribute) if isinstance(attribute, tuple) else attribute) == value


def test_dict_is_the_callers_own(report: Report) -> None:
    report.to_dict()["victims"].clear()
    assert report.to_dict()["victims"] == list(report.victims)


def test_text_tells_more_the_higher_the_verbosity(report: Report) -> None:
    one, two, three = (report.to_text(verbosity) for verbosity in (1, 2, 3))
    assert report.to_text() == one
    assert "waits for row 2, held by B" in one
    assert "FOR UPDATE" not in one
    assert "FOR UPDATE" in two
    assert "[ShareLock" not in two
    assert "[ShareLock" in three
    assert len(report.to_text(0)) < len(one) < len(two) < len(three)


def test_text_is_heading_events_conclusion(report: Report) -> None:
    timeline = Timeline([session.name for session in report.sessions])
    lines = ["".join(parts).rstrip() for event in report.events for parts in timeline.lines(event)]
    told = "".join(f"{line}\n" for line in lines)
    assert report.to_text() == report.heading() + timeline.heading() + told + report.conclusion()
    assert Timeline(2).heading() == timeline.heading() == f"\n{'':12}A{'':43}B\n"
    for words in (report.verdict, report.explanation, "deadlock detected (SQLSTATE 40P01)", "DETAIL:"):
        assert words in report.conclusion(width=10_000)
    assert report.server.version in report.heading()


def test_sentences_are_wrapped_to_a_width(report: Report) -> None:
    (narrow, wide) = (report.conclusion(width=40), report.conclusion(width=1000))
    assert narrow.split() == wide.split()
    assert report.explanation in wide
    for width in (40, 60, 100):
        assert all(len(line) <= width for line in report.to_text(3, width).splitlines()[1:])


def test_the_columns_give_way_to_lines_where_they_do_not_fit(report: Report) -> None:
    narrow = report.to_text(width=40)
    assert all(line in narrow for event in report.events if (line := event.to_text()) and len(line) <= 40)
    assert "  A " in narrow
    assert "│" not in narrow
    assert "│" in report.to_text(width=60)


def test_a_timeline_of_no_sessions_is_lines(report: Report) -> None:
    timeline = Timeline([])
    assert timeline.heading() == ""
    assert timeline.lines(report.events[0]) == [("", report.events[0].to_text(), "")]
    assert Timeline(["A"], 0).lines(report.events[0]) == []
    with pytest.raises(TypeError):
        Timeline([1])  # type: ignore[list-item]


def test_requests_are_told_from_verbosity_2_on(report: Report) -> None:
    (request, *_) = (event for event in report.events if event.kind == "request")
    assert request.to_text() is None
    assert request.to_text(2) is not None


def test_reprs_say_the_main_thing(report: Report) -> None:
    assert repr(report).startswith("<Report deadlock: DEADLOCK after ")
    assert repr(report.sessions[0]).startswith("<SessionReport A ")
    assert repr(report.events[0]).startswith("<Event 0.0")
    assert repr(report.sessions[0].statements[0]).startswith("<Statement BEGIN")
    assert report.server.version in repr(report.server)


def test_a_report_outlives_nothing_it_needs(report: Report) -> None:
    # It holds no connection: it can be told long after the server is gone, and sent on as JSON.
    with pytest.raises(TypeError):
        pickle.dumps(report)
    assert json.loads(report.to_json())["outcome"] == "deadlock"


def test_statements_tell_which_locks_they_took(dsn: str, table: str) -> None:
    report = simulate_deadlock(dsn, rows=(1, 2), table=table, deadlock_timeout=FAST)
    first, second = report.sessions[0].statements[1:3]
    assert first.locks == (f"RowShareLock on relation {table}", "row lock of FOR UPDATE on 1 row")
    assert type(first.locks) is tuple
    assert second.locks == (() if second.sqlstate else ("row lock of FOR UPDATE on 1 row",))
    quiet = simulate_deadlock(dsn, deadlock_timeout=FAST, note_locks=False)
    assert not any(statement.locks for session in quiet.sessions for statement in session.statements)
