"""Assertions about callables that run at the same time. A failure shows the schedule, and its timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from django_lockstep.limits import DEFAULTS, MAX_SECONDS
from django_lockstep.testing.attempt import attempt
from django_lockstep.testing.bounds import Bounds
from django_lockstep.testing.explore import search

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report
    from django_lockstep.testing.exploration import Exploration, Finding

_ENOUGH = frozenset({"deadlock", "hidden_deadlock", "hang"})
"""What decides an assertion when it is found, whatever the other schedules come to."""
_UNLOCKED = "Every statement ran by itself, outside atomic(), and let go of its locks: is atomic() missing? "
"""Why callables do not contend that begin no transaction."""


def assert_deadlocks(
    *callables: Callable[[], Any],
    order: str | None = None,
    setup: Callable[[], object] | None = None,
    preemptions: int | None = None,
    max_schedules: float | None = None,
    max_seconds: float | None = None,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float = 30.0,
) -> Report:
    """Assert that there is a schedule in which PostgreSQL aborts one of the callables with 40P01; return its report.

    The callables are explored (as by ``explore``, whose arguments these are) until the first deadlock; or run once, in
    the given ``order`` (as for ``run_together``).
    """
    __tracebackhide__ = True
    explored = _explored(
        callables, order, setup, preemptions, max_schedules, max_seconds, using, timeout, "assert_deadlocks"
    )
    if explored.deadlocks:
        return explored.deadlocks[0].report
    found = f"\n\n{explored.findings[0].told('order')}" if explored.findings else ""
    raise AssertionError(f"No deadlock in {explored.extent}.{found}") from _raised(explored.findings)


def assert_no_deadlock(
    *callables: Callable[[], Any],
    order: str | None = None,
    setup: Callable[[], object] | None = None,
    preemptions: int | None = None,
    max_schedules: float | None = None,
    max_seconds: float | None = None,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float = 30.0,
) -> Exploration:
    """Assert that the callables get through without a deadlock in every schedule that can differ.

    They are explored (as by ``explore``, whose arguments these are); or run once, in the given ``order`` (as for
    ``run_together``), which proves nothing about other orders.

    It fails on the first deadlock, and whenever it could not have failed, or not for certain:

    - a callable raises, hangs, or is aborted otherwise: what comes after that was not seen. Catch within the callable
      what is expected there;
    - no callable ever waited for another: then they cannot deadlock whatever they do;
    - a limit (``max_schedules``, ``max_seconds``, ``--lockstep-max-schedules``) ended the search. ``preemptions`` is no
      such limit: it says which schedules are meant, and ``complete`` of what is returned says whether that was all.
    """
    __tracebackhide__ = True
    explored = _explored(
        callables, order, setup, preemptions, max_schedules, max_seconds, using, timeout, "assert_no_deadlock"
    )
    if explored.deadlocks:
        raise AssertionError(
            f"A deadlock in schedule {explored.schedules:,}.\n\n{explored.deadlocks[0].told('order')}"
        ) from _raised(explored.deadlocks)
    if explored.findings:
        raise AssertionError(
            f"The callables did not get through in {explored.findings[0].seen:,} of {explored.extent}.\n\n"
            f"{explored.findings[0].told('order')}"
        ) from _raised(explored.findings)
    if explored.stopped in {"max_schedules", "max_seconds"}:
        raise AssertionError(
            f"No deadlock so far, but that proves nothing: {explored.extent}. Give more ({explored.stopped}=…"
            f"{', --lockstep-max-schedules' if explored.stopped == 'max_schedules' else ''}), or let the callables do "
            "less, or say that schedules with few preemptions are enough (preemptions=2)."
        )
    if not explored.contended:
        raise AssertionError(
            f"The callables never contended in {explored.extent}: none of them ever waited for a lock of another's, so "
            f"this test could not fail. {_UNLOCKED if explored.autocommit else ''}Let them lock the same rows, "
            "committed before the test or by setup."
        )
    return explored


def _explored(
    callables: tuple[Callable[[], Any], ...],
    order: str | None,
    setup: Callable[[], object] | None,
    preemptions: int | None,
    max_schedules: float | None,
    max_seconds: float | None,
    using: str,
    timeout: float,
    what: str,
) -> Exploration:
    if order is not None:
        return attempt(callables, order=order, setup=setup, using=using, timeout=timeout, what=what)
    bounds = Bounds(
        preemptions=preemptions,
        max_schedules=DEFAULTS.max_schedules if max_schedules is None else max_schedules,
        max_seconds=MAX_SECONDS if max_seconds is None else max_seconds,
    )
    return search(
        callables,
        setup=setup,
        bounds=bounds,
        using=using,
        timeout=timeout,
        what=what,
        judged=False,
        until=_ENOUGH,
    )


def _raised(findings: tuple[Finding, ...]) -> BaseException | None:
    sessions = (session for finding in findings for session in finding.report.sessions)
    return next((session.exception for session in sessions if session.exception is not None), None)
