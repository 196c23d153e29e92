"""Finds lost updates: schedules that leave what no serial order leaves."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_lockstep import Report, SessionReport
    from django_lockstep._core import Outcomes, Ran
    from django_lockstep.testing.explorer import Explorer

_ABORTED = {
    "deadlock_victim",
    "serialization_failure",
    "lock_timeout",
    "statement_timeout",
    "cancelled",
    "disconnected",
}
_RETRIED = {"40P01", "40001"}
MOST_SESSIONS = 4
"""The serial orders of more sessions are too many to run beside the search."""


class LostUpdates:
    """What the schedules of a search leave, and what serial orders leave.

    What is drawn by chance, or read from a clock, tells itself by differing between two runs of the very same schedule.
    So if there is anything to report, the serial order that was run first is run once more, and then each schedule that
    is to be reported: between the two runs of either, everything that was compared was run.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self.wanted = len(explorer.callables) <= MOST_SESSIONS
        """Whether outcomes are compared at all."""
        self._outcomes: Outcomes | None = None
        self._starts_again = False
        self._serial: dict[tuple[int, ...], int] = {}
        """By order, the numbers of the outcomes."""
        self._ended_well: dict[int, tuple[Ran, int]] = {}
        """By outcome: the simplest schedule that comes to it, and how many do."""

    def begin(self) -> None:
        """Take down what a schedule starts from, where that is not known."""
        if not self.wanted:
            return
        state = self.explorer.state
        if self._outcomes is None:
            self._outcomes = state.outcomes(self.explorer.ensemble.names)
        elif self._starts_again:
            self._starts_again = False
            self._outcomes.started_again(state.held())

    def take_down(self, ran: Ran) -> None:
        """Add what a schedule has come to."""
        number = self._outcome_of(ran) if self.wanted else None
        if number is None:
            return
        if ran.serial is not None:
            self._serial.setdefault(tuple(ran.serial), number)
        ran = ran.whole()
        known, seen = self._ended_well.get(number, (None, 0))
        if known is None or _simplicity(ran) < _simplicity(known):
            known = ran
        self._ended_well[number] = (known, seen + 1)

    def judge(self, *, complete: bool) -> Iterator[tuple[str, Ran, int, Report]]:
        """Yield each lost update: what it is, the simplest schedule, how many there were, and the run to be shown."""
        if not self.wanted or not self._ended_well or (complete and len(self._ended_well) == 1):
            return  # there is nothing to compare; or all schedules come to the same, the serial ones among them
        for order in permutations(range(len(self.explorer.callables))):
            if order not in self._serial:
                number = self._outcome_of(self.explorer.serially(order))
                if number is None:
                    return
                self._serial[order] = number
        lost = self._lost()
        if lost:
            self._repeat_the_first()
        reports: dict[int, Report] = {}
        while unsure := [number for number, _ in self._lost() if number not in reports]:
            for number in unsure:
                reports[number], learnt = self._repeat(number)
                if learnt:
                    break
        for (number, about), seen in self._lost().items():
            yield about, self._ended_well[number][0], seen, reports[number]

    def _lost(self) -> dict[tuple[int, str], int]:
        """Return the simplest of those that are told alike, what is told, and how many schedules came to that."""
        if self._outcomes is None:
            return {}
        lost = {}
        for numbers, about in self._outcomes.lost(list(self._serial.values()), list(self._ended_well)):
            simplest = min(numbers, key=lambda number: _simplicity(self._ended_well[number][0]))
            lost[simplest, about] = sum(self._ended_well[number][1] for number in numbers)
        return lost

    def _repeat_the_first(self) -> None:
        order, number = next(iter(self._serial.items()))
        self._starts_again = True
        again = self._outcome_of(self.explorer.serially(order))
        if self._outcomes is not None and again is not None:
            self._outcomes.repeated(number, again)

    def _repeat(self, number: int) -> tuple[Report, bool]:
        """Run an outcome's schedule once more: return the report of that, and whether it has come to something else."""
        before, _ = self._ended_well[number]
        ran = self.explorer.run_only(before.order)
        again = self._outcome_of(ran)
        if self._outcomes is None or again is None:
            return before.report, False
        return ran.report, self._outcomes.repeated(number, again)

    def _outcome_of(self, ran: Ran) -> int | None:
        """Return the number of what a schedule has come to, unless a session was aborted for good."""
        sessions = ran.report.sessions
        if self._outcomes is None or any(_gave_up(session) for session in sessions):
            return None
        errors = [session.exception for session in sessions]
        raised = [None if error is None else type(error).__name__ for error in errors]
        return self._outcomes.add(self.explorer.state.held(ran.written), raised)


def _gave_up(session: SessionReport) -> bool:
    """Whether a session was aborted, and has not got through that statement later: then it went without."""
    statements = session.statements
    refused = [place for place, statement in enumerate(statements) if statement.sqlstate in _RETRIED]
    if not refused:
        return session.outcome in _ABORTED
    same = [later for later in statements[refused[-1] + 1 :] if later.step == statements[refused[-1]].step]
    return not any(later.finished is not None and later.sqlstate is None for later in same)


def _simplicity(ran: Ran) -> tuple[int, bool]:
    return (ran.preemptions, not ran.literal)
