"""One run in a given order, told as an exploration of one schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.exploration import Exploration, Finding
from django_lockstep.testing.guards import dsn_of_free_alias, refuse_too_few
from django_lockstep.testing.names import letter, names_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KINDS = {"deadlock": "deadlock", "timeout": "hang", "blocked_by_outsider": "hidden_deadlock"}
"""What a report's outcome is called as a finding; any other is an exception."""


def attempt(
    callables: Sequence[Callable[[], Any]],
    *,
    order: str,
    setup: Callable[[], object] | None,
    using: str,
    timeout: float,
    what: str,
) -> Exploration:
    """Call ``setup`` and run the callables in this order. Nothing is put back."""
    refuse_too_few(callables)
    names = names_of(callables)
    numbers = numbers_of(order, names)
    dsn = dsn_of_free_alias(using, what)
    with Ensemble(names, dsn, using, timeout) as ensemble:
        if setup is not None:
            setup()
            dsn_of_free_alias(using, what)  # it may have begun a transaction
        report = ensemble.run(callables, numbers)
    findings = []
    if report.outcome != "no_conflict":
        kind = _KINDS.get(report.outcome, "exception")
        about = report.explanation.split("\n")[0]
        findings = [Finding(kind, about, " ".join(map(letter, numbers)), 0, report, 1)]
    return Exploration(
        findings=tuple(findings),
        schedules=1,
        steps=sum(len(session.statements) for session in report.sessions),
        stopped="only",
        contended=any(event.kind == "waiting" for event in report.events),
        elapsed=report.elapsed,
    )
