"""What is explored: statements in transactions, on tables that a test makes and drops."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection, transaction
from orm.models import Account

from django_lockstep.testing import Exploration, explore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def accounts() -> None:
    Account.objects.bulk_create([Account(pk=1), Account(pk=2), Account(pk=3)])


def run(sql: str, *parameters: str | int) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def made(*statements: str, dropped: str) -> Iterator[None]:
    for statement in statements:
        run(statement)
    try:
        yield
    finally:
        run(dropped)


def steps(*statements: str | tuple[str | int, ...]) -> Callable[[], None]:
    """Return a transaction of these statements, each alone or with its parameters."""

    def transact() -> None:
        with transaction.atomic():
            for statement in statements:
                sql, *parameters = (statement,) if isinstance(statement, str) else statement
                run(str(sql), *parameters)

    return transact


def same_as_all(
    *callables: Callable[[], object], what: str, setup: Callable[[], object] | None = None
) -> Exploration:
    """Return the reduced search, which has come to the same as every order; ``what`` selects what is compared."""
    seen: list[set[str]] = []
    for reduced in (False, True):
        outcomes: set[str] = set()
        before = run(what)
        result = explore(
            *callables,
            setup=setup,
            reduced=reduced,
            invariant=lambda outcomes=outcomes: outcomes.add(str(run(what))),  # type: ignore[misc]
        )
        assert result.complete
        assert run(what) == before, "it is put back"
        seen.append(outcomes | {finding.kind for finding in result.findings})
    assert seen[0] == seen[1]
    return result
