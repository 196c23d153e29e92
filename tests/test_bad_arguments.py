"""Arguments that make no sense: one sentence for what is wrong, one for what to do, and nothing is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep.exceptions import UsageError

NOWHERE = "host=127.0.0.1 port=9 user=u dbname=d"
"""Nothing listens there, so that an error of usage can only come before connecting."""


def refused(**keywords: Any) -> str:
    dsn = keywords.pop("dsn", NOWHERE)
    with pytest.raises(UsageError) as caught:
        simulate_deadlock(dsn, **keywords)
    error = caught.value
    assert isinstance(error, LockstepError)
    assert isinstance(error, ValueError)
    assert error.sqlstate is None
    assert error.hint
    message = str(error)
    assert message.endswith(error.hint)
    assert message.endswith(".")
    assert (
        not message[0].islower() or "_" in message.split()[0] or message.split()[1:3] == ["cannot", "be"]
    )  # a name
    assert message.count(". ") >= 1  # what is wrong, what to do
    return message


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), "at least two rows"),
        ((1,), "at least two rows"),
        ((1, 1), "names a row twice"),
        ((1, 2, 1), "names a row twice"),
        ("12", "integers"),
        (b"12", "integers"),
        (("1", "2"), "'1' is not the id"),
        ((1, "x"), "'x' is not the id"),
        ((1, 2.0), "2.0 is not the id"),
        ((1, None), "None is not the id"),
        ((True, False), "True is not the id"),
        ((1, True), "True is not the id"),
        ((1, 2**63), f"{2**63} is not the id"),
        (5, "integers"),
        (len, "integers"),
    ],
    ids=repr,
)
def test_rows(rows: Any, words: str) -> None:
    assert words in refused(rows=rows)


def test_what_a_generator_of_rows_raises_is_not_swallowed() -> None:
    def rows() -> Any:
        yield 1
        raise LookupError("the ids are gone")

    with pytest.raises(LookupError, match="the ids are gone"):
        simulate_deadlock(NOWHERE, rows())


@pytest.mark.parametrize(
    "seconds", [-1, -0.001, math.nan, math.inf, -math.inf, 1e300, "1", True, None, [1]], ids=repr
)
@pytest.mark.parametrize(
    "name", ["sleep", "timeout", "deadlock_timeout", "lock_timeout", "statement_timeout"]
)
def test_seconds(name: str, seconds: Any) -> None:
    if seconds is None:  # which stands for the default
        return
    assert name in refused(**{name: seconds})


@pytest.mark.parametrize("name", ["timeout", "deadlock_timeout", "lock_timeout", "statement_timeout"])
def test_a_timeout_of_zero_makes_no_sense(name: str) -> None:
    assert f"{name} cannot be 0" in refused(**{name: 0})


@pytest.mark.parametrize("sessions", [1, 0, -1, 2.5, "3", True, 2**80], ids=repr)
def test_sessions(sessions: Any) -> None:
    assert "sessions" in refused(sessions=sessions).lower()


@pytest.mark.parametrize(("sessions", "rows"), [(3, (1, 2)), (3, (1, 2, 3, 4))])
def test_a_ring_needs_a_row_for_each_session(sessions: int, rows: tuple[int, ...]) -> None:
    assert "ring of 3 sessions needs 3 rows" in refused(sessions=sessions, rows=rows)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("lock", ["update", "no key update", "share", "key share", "advisory"]),
        ("isolation", ["read committed", "repeatable read", "serializable"]),
    ],
)
@pytest.mark.parametrize("given", ["exclusive", "UPDATE", "", "update; DROP TABLE x"])
def test_choices_are_listed(name: str, given: str, choices: list[str]) -> None:
    message = refused(**{name: given})
    assert all(f'"{choice}"' in message for choice in choices)


@pytest.mark.parametrize("victim", ["C", "a", "", "AA"])
def test_victim(victim: str) -> None:
    assert "A to B" in refused(victim=victim)


@pytest.mark.parametrize("name", ["table", "key", "lock", "isolation", "victim", "dsn"])
@pytest.mark.parametrize("given", [5, b"text", ("a",)], ids=repr)
def test_texts(name: str, given: Any) -> None:
    assert "str" in refused(**{name: given})


def test_advisory_locks_have_no_table() -> None:
    assert "Leave out either" in refused(lock="advisory", table="t")


def test_everything_after_sleep_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        simulate_deadlock(NOWHERE, (1, 2), 0.0, 2)  # type: ignore[call-arg]


def test_an_unknown_keyword() -> None:
    with pytest.raises(TypeError, match="timeouts"):
        simulate_deadlock(NOWHERE, timeouts=3)  # type: ignore[call-arg]
