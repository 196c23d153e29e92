"""The catalogue: what Python sees of it; and all of it on a second version of PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tls_server import TlsServer
from witness import schemas, value

from django_lockstep import run_scenario, scenario, scenarios
from django_lockstep.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from witness import Connection

LEVELS = ("read committed", "repeatable read", "serializable")


@pytest.fixture(scope="module")
def older() -> Iterator[TlsServer]:
    """The distribution's server, which is not of the embedded one's version."""
    with TlsServer() as server:
        yield server


def test_every_scenario_says_what_it_is() -> None:
    names = [one.name for one in scenarios()]
    assert len(names) == len(set(names)) > 40
    for one in scenarios():
        assert one == scenario(one.name)
        assert all((one.title, one.teaches, one.django, one.fix, one.seen_in))
        assert len(one.fixed) == len(one.expected()) == len(one.spec.permutations)
        assert {True, False} == set(one.fixed)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("s04", "Did you mean s04-deadlock-at-commit?"),
        ("write-skw", "Did you mean write-skew?"),
        ("../secret", "deadlock_test --list lists all of them."),
    ],
)
def test_a_name_that_is_none_is_told_with_those_that_are_like_it(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="There is no scenario") as caught:
        run_scenario(name, "")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "name", ["s04-deadlock-at-commit", "s14-two-victims", "s18-retry-in-nested-atomic", "write-skew"]
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_scenario_does_what_it_says(dsn: str, witness: Connection, name: str, level: str) -> None:
    report = run_scenario(name, dsn, isolation=level)  # type: ignore[arg-type]
    assert report.effects == scenario(name).expected(level)  # type: ignore[arg-type]
    assert schemas(witness) == []


def test_every_scenario_does_what_it_says_on_the_distributions_server(older: TlsServer) -> None:
    def different(name: str) -> list[str]:
        found = []
        for level in LEVELS:
            report = run_scenario(name, older.inside, isolation=level)  # type: ignore[arg-type]
            wanted = scenario(name).expected(level)  # type: ignore[arg-type]
            if report.effects != wanted:
                found.append(f"{name}, {level}: {report.effects}, not {wanted}\n{report.to_text()}")
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [line for lines in pool.map(different, [one.name for one in scenarios()]) for line in lines]
    assert found == []
    assert schemas(older.witness) == []
    assert value(older.witness, "SELECT current_setting('server_version_num')::int / 10000") < 18
