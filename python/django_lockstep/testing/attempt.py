"""One run in a given order, told as an exploration of one schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.exploration import Exploration, Finding
from django_lockstep.testing.guards import dsn_of_free_alias, refuse_too_few
from django_lockstep.testing.names import letter, names_of, numbers_of
from django_lockstep.testing.remarks import Contention, remarks

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
    contention = Contention()
    contention.hear(report)
    return Exploration(
        findings=tuple(findings),
        schedules=1,
        steps=sum(len(session.statements) for session in report.sessions),
        stopped="only",
        contended=contention.contended,
        autocommit=contention.autocommit,
        only_deadlocks=True,
        notes=remarks(contention, 1, complete=False, only_deadlocks=True, compared=False),
        sessions=tuple(names),
        elapsed=report.elapsed,
    )
