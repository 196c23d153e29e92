"""Assertions about callables that run at the same time. A failure shows the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from django_lockstep.testing.attempts import attempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report


def assert_deadlocks(
    *callables: Callable[[], Any],
    order: str | None = None,
    setup: Callable[[], object] | None = None,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float = 30.0,
) -> Report:
    """Assert that PostgreSQL aborts one of the callables with 40P01; return the report of the run where it does.

    The callables run strictly in turns, once for each that can be the first; or once, in the given order (as for
    ``run_together``). ``setup`` is called before each run, in the calling thread.
    """
    tried = []
    for described, report in attempts(
        callables, order=order, setup=setup, using=using, timeout=timeout, what="assert_deadlocks"
    ):
        if report.deadlocked:
            return report
        tried.append((described, report))
    described, report = tried[-1]
    count = (
        "in the order that was tried" if len(tried) == 1 else f"in the {len(tried)} orders that were tried"
    )
    raise AssertionError(f"No deadlock {count}. The last, {described}:\n\n{report.to_text()}") from _raised(
        report
    )


def assert_no_deadlock(
    *callables: Callable[[], Any],
    order: str | None = None,
    setup: Callable[[], object] | None = None,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float = 30.0,
) -> tuple[Report, ...]:
    """Assert that the callables get through together without a deadlock; return the reports, one for each order.

    The orders are those of ``assert_deadlocks``. It fails as well when the callables do not come to their end, and when
    none of them ever waited for another: then they cannot deadlock whatever they do, and the test could not fail.
    """
    reports = []
    for described, report in attempts(
        callables, order=order, setup=setup, using=using, timeout=timeout, what="assert_no_deadlock"
    ):
        if report.deadlocked:
            raise AssertionError(f"A deadlock, {described}:\n\n{report.to_text()}") from _raised(report)
        if report.outcome != "no_conflict":
            raise AssertionError(
                f"The callables did not get through, {described}:\n\n{report.to_text()}"
            ) from _raised(report)
        reports.append(report)
    if not any(event.kind == "waiting" for report in reports for event in report.events):
        raise AssertionError(
            "The callables never contended: none of them ever waited for a lock of another's, so this test could "
            "not fail. Let them lock the same rows, committed before the test; or give the order in which they meet "
            "(order=…).\n\n"
            f"{reports[-1].to_text()}"
        )
    return tuple(reports)


def _raised(report: Report) -> BaseException | None:
    return next((session.exception for session in report.sessions if session.exception is not None), None)
