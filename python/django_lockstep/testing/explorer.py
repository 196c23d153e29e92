"""Runs the schedules of a search, and takes down what they come to."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django_lockstep._core import Search
from django_lockstep.exceptions import Nondeterministic, UsageError
from django_lockstep.testing.aborts import is_the_abort
from django_lockstep.testing.between import between
from django_lockstep.testing.bounds import DEPTH, Bounds
from django_lockstep.testing.exploration import Exploration, Finding
from django_lockstep.testing.lost_update import MOST_SESSIONS, LostUpdates
from django_lockstep.testing.names import letter
from django_lockstep.testing.progress import Progress
from django_lockstep.testing.remarks import Contention, remarks
from django_lockstep.testing.row_gate import with_many_rows
from django_lockstep.testing.source import source_of_error, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_lockstep import Report
    from django_lockstep._core import Ran
    from django_lockstep.testing.ensemble import Ensemble
    from django_lockstep.testing.state import State

_MOST_STEPS = 10_000
"""A session has ended long before."""


class OtherVictim(Nondeterministic):
    """The server aborted another session than before: the machine stalled for longer than the engine waits."""


class Explorer:
    """One search."""

    def __init__(
        self,
        ensemble: Ensemble,
        callables: Sequence[Callable[[], Any]],
        setup: Callable[[], object] | None,
        invariant: Callable[[], object] | None,
        state: State,
    ) -> None:
        self.ensemble = ensemble
        self.callables = callables
        self.setup = setup
        self.invariant = invariant
        self.state = state
        self.search: Search | None = None
        """The search; those beside it are held to what it has seen the callables do."""
        self.runs = 0
        """How many schedules were begun, those beside the search and those begun again included."""
        self.contention = Contention()
        self.hung = False
        self.deadlocked = False
        self.several: set[str] = set()
        """The sessions that may have locked several rows by one statement (``row_gate``)."""
        self.spelt: str | None = None
        """The schedule as it was given, where there is more to it than an order."""
        self.cut = False
        """Whether there was no time for all of what follows the search."""
        self.found: dict[tuple[object, ...], Finding] = {}
        self.seen: set[tuple[object, ...]] = set()
        """What the present schedule has shown, …"""
        self.serially_seen: set[tuple[object, ...]] = set()
        """… and what is so with one callable after the other, too."""
        self.literal: set[tuple[object, ...]] = set()
        """Of which findings the report is that of their own schedule."""
        self.lost_updates = LostUpdates(self)

    def explore(
        self,
        bounds: Bounds,
        *,
        only: tuple[int, ...] | None,
        judged: bool,
        until: frozenset[str],
        and_then: Callable[[Explorer, float], object] | None = None,
    ) -> Exploration:
        """Run the schedules; with ``judged``, find lost updates as well; stop at the first of these kinds.

        Otherwise ``and_then`` is called before that, with this and the time when it has to come back.
        """
        began = time.monotonic()
        self.lost_updates.wanted &= judged
        self.search = search = self.search_within(bounds, only, strict=True)
        enough = False
        try:
            with Progress() as progress:
                while not enough and search.begin():
                    ran = self.run(search)
                    if not (ran.again or ran.repeat):
                        self.take_down(ran)
                    progress.advance(search.statistics[0], len(self.found))
                    enough = any(finding.kind in until for finding in self.found.values())
            if not enough and and_then is not None:
                and_then(self, began + bounds.max_seconds)
            if judged:
                self.judge(search)
            for key in self.serially_seen & self.found.keys():
                found = self.found[key]
                self.found[key] = replace(
                    found, about=f"{found.about}; so it is with one after the other: no race"
                )
            if only is None:
                self.found = {
                    key: finding if key in self.literal else self.shown(finding)
                    for key, finding in self.found.items()
                }
        finally:
            self.state.restore()
        schedules, redundant, steps, again = search.statistics
        complete = search.complete and not self.hung and not self.cut
        return Exploration(
            findings=tuple(self.found.values()),
            schedules=schedules,
            redundant=redundant,
            steps=steps,
            again=again,
            complete=complete,
            stopped=None if complete else self.stopped(search, bounds, only, enough=enough),
            contended=self.contention.contended,
            autocommit=self.contention.autocommit,
            only_deadlocks=bool(until),
            notes=remarks(
                self.contention,
                schedules,
                again,
                complete=complete,
                only_deadlocks=bool(until),
                compared=len(self.callables) <= MOST_SESSIONS,
            ),
            elapsed=time.monotonic() - began,
            sessions=tuple(self.ensemble.names),
        )

    def stopped(
        self, search: Search, bounds: Bounds, only: tuple[int, ...] | None, *, enough: bool
    ) -> str | None:
        """Return why the search is not complete."""
        if only is not None:
            return "only"
        if self.hung:
            return "hang"
        if enough:
            return "found"
        if bounds.seed is not None:
            return "seed"
        if search.exhausted and not self.cut:
            return "preemptions"
        return "max_schedules" if search.statistics[0] >= bounds.max_schedules else "max_seconds"

    def search_within(
        self,
        bounds: Bounds,
        only: tuple[int, ...] | None,
        names: Sequence[str] | None = None,
        *,
        strict: bool = False,
    ) -> Search:
        """Return a search that has not begun; of other sessions, if they are named.

        ``strict``: that ``only`` cannot be followed is an error. Otherwise it is followed as far as that goes.
        """
        most = bounds.max_schedules
        return Search(
            list(names or self.ensemble.names),
            self.state.lore,
            preemptions=bounds.preemptions,
            seed=bounds.seed,
            depth=DEPTH if bounds.depth is None else bounds.depth,
            only=None if only is None else list(only),
            strict=strict,
            reduced=bounds.reduced,
            max_schedules=None if math.isinf(most) else int(most),
            max_seconds=None if math.isinf(bounds.max_seconds) else bounds.max_seconds,
            like=self.search if names is None else None,
        )

    def start_over(self) -> None:
        """Make the starting state."""
        self.state.restore()
        if self.setup is not None:
            with between("setup", self.when("before")), self.state.noting():
                self.setup()
        self.lost_updates.begin()

    def when(self, side: str) -> str:
        """Return between which schedules the caller's own code is called, in words."""
        return f"{side} schedule {self.runs:,}"

    def run_only(
        self,
        order: Sequence[int],
        names: Sequence[str] | None = None,
        more: tuple[Ensemble, Callable[[], Any]] | None = None,
    ) -> Ran:
        """Run one schedule beside the search."""
        search = self.search_within(Bounds(), tuple(order), names)
        while search.begin():
            ran = self.run(search, more)
            if not ran.again:
                return ran
        raise AssertionError("a schedule without limits is run until it has come to its end")

    def run(self, search: Search, more: tuple[Ensemble, Callable[[], Any]] | None = None) -> Ran:
        """Run the schedule that has begun; ``more``: in another ensemble, with one more callable."""
        ensemble = self.ensemble
        callables = list(self.callables)
        if more is not None:
            ensemble = more[0]
            callables.append(more[1])
        self.runs += 1
        self.start_over()
        ensemble.cast(callables)
        ran = None
        try:
            ran = search.run(
                ensemble.together, ensemble.start, ensemble.stopping, ensemble.collect, ensemble.timeout
            )
        finally:
            self.state.note(ran and ran.written)
            ensemble.settle()
        if ran.diverged is not None:
            raise (OtherVictim if self.deadlocked or ran.report.deadlocked else Nondeterministic)(
                _diverged(ensemble.names, *ran.diverged)
            )
        if ran.overtaken is not None:
            raise Nondeterministic(_overtaken(ensemble.names, *ran.overtaken))
        return ran

    def take_down(self, ran: Ran) -> None:
        """Add what a schedule has come to."""
        report = ran.report
        self.seen = set()
        self.several |= with_many_rows(report)
        self.contention.hear(report)
        if report.outcome in {"timeout", "blocked_by_outsider"}:
            self.hung = True
            kind = "hang" if report.outcome == "timeout" else "hidden_deadlock"
            self.add((kind,), kind, report.explanation.split("\n")[0], ran)
            return
        self.take_down_deadlock(ran)
        for session in report.sessions:
            error = session.exception
            refusals = (
                event
                for event in report.events
                if event.session == session.name and event.sqlstate == "40001"
            )
            if refusal := next(refusals, None):  # it may have caught that
                self.add(
                    ("serialization_failure", session.name),
                    "serialization_failure",
                    f"the server refused {session.name}: {refusal.message}",
                    ran,
                )
            if error is not None and not is_the_abort(error, session.outcome):
                what = f"{session.name} raised {told(error)}"
                self.add(
                    ("exception", session.name, type(error)),
                    "exception",
                    what,
                    ran.whole() if _failures(report) > 1 else ran,
                )
        self.lost_updates.take_down(ran)
        self.check(ran)
        if ran.serial is not None:
            self.serially_seen |= self.seen

    def take_down_deadlock(self, ran: Ran, schedule: str | None = None) -> None:
        """Add a deadlock, if the run came to one; ``schedule``: where it is not all in the run's order."""
        report = ran.report
        if not report.deadlocked:
            return
        self.deadlocked = True
        self.contention.contended = True
        steps = sorted(
            (session.name, _last_waiting(session))
            for session in report.sessions
            if session.name in report.cycle
        )
        self.add(("deadlock", *steps), "deadlock", f"the cycle {report.told_cycle}", ran, schedule)

    def check(self, ran: Ran) -> None:
        """Ask the invariant."""
        if self.invariant is None:
            return
        try:
            with between("invariant", self.when("after")), self.state.noting():
                returned = self.invariant()
                broken = not returned and returned is not None
            about = "the invariant returned False"
            key: tuple[object, ...] = ("violation",)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 whatever it raises says that it is broken
            broken = True
            about = f"the invariant raised {told(error)}"
            # Not by its text, which may have an address in it.
            key = ("violation", type(error), source_of_error(error))
        else:
            if broken and returned is not False:
                hint = "Have it return True or False (bool(…) around it), or raise."
                raise UsageError(
                    f"invariant returned {returned!r:.80}, which may mean that all is well, or that nothing is. {hint}",
                    hint=hint,
                )
        if broken:
            self.add(key, "violation", about, ran.whole())

    def judge(self, search: Search) -> None:
        """Find the lost updates: what no serial order comes to."""
        for about, ran, seen, report in self.lost_updates.judge(complete=search.complete):
            key = ("lost_update", about)
            self.keep(key, ran, replace(self.finding("lost_update", about, ran, seen), report=report))
            self.literal.add(key)

    def serially(self, order: Sequence[int]) -> Ran:
        """Run the callables one after the other."""
        return self.run_only([number for number in order for _ in range(_MOST_STEPS)])

    def shown(self, finding: Finding) -> Finding:
        """Return the finding with the run of its own schedule, where that comes to the same."""
        words = finding.schedule.split()
        numbers = {letter(number): number for number in range(len(self.callables))}
        if finding.kind in {"hang", "hidden_deadlock"} or not numbers.keys() >= set(words):
            return finding
        report = self.run_only([numbers[word] for word in words]).report
        return replace(finding, report=report) if _ends(report) == _ends(finding.report) else finding

    def add(
        self, key: tuple[object, ...], kind: str, about: str, ran: Ran, schedule: str | None = None
    ) -> None:
        """Add a finding, or count it where it is known; the simplest schedule is kept."""
        self.seen.add(key)
        known = self.found.get(key)
        seen = known.seen + 1 if known else 1
        if known is None or (ran.preemptions, len(ran.order), not ran.literal) < (
            known.preemptions,
            len(known.schedule.split()),
            key not in self.literal,
        ):
            self.keep(key, ran, self.finding(kind, about, ran, seen, schedule))
        else:
            self.found[key] = replace(known, seen=seen)

    def keep(self, key: tuple[object, ...], ran: Ran, finding: Finding) -> None:
        """Keep the finding of a run."""
        self.found[key] = finding
        (self.literal.add if ran.literal else self.literal.discard)(key)

    def finding(self, kind: str, about: str, ran: Ran, seen: int, schedule: str | None = None) -> Finding:
        """Return what was found in a schedule."""
        schedule = schedule or self.spelt or " ".join(letter(number) for number in ran.order)
        return Finding(kind, about, schedule, ran.preemptions, ran.report, seen)


def _diverged(names: Sequence[str], session: int, step: int, before: str | None, now: str | None) -> str:
    return (
        f"The same beginning of a schedule led session {names[session]} to something else than before, at its step "
        f"{step + 1}: {before or 'no statement'} before, {now or 'no statement'} now. Take out of the callable what no "
        "schedule decides (a clock, a random number, the order of a set), or fix it by a seed."
    )


def _overtaken(names: Sequence[str], session: int, by: int | None, runs: int) -> str:
    before = f"let {names[by]} in before" if by is not None else "sometimes let in, and sometimes not,"
    return (
        f"PostgreSQL {before} session {names[session]}, or another one out of the order in which they came, in each of "
        f"{runs:,} runs of the same schedule. It promises no order among those that wait for one row, and the more "
        "there are, the seldomer it is that one. Explore fewer sessions at once, or on a machine that is less busy."
    )


def _ends(report: Report) -> list[tuple[str, str | None]]:
    return [(session.outcome, session.sqlstate) for session in report.sessions]


def _failures(report: Report) -> int:
    return sum(
        statement.sqlstate is not None for session in report.sessions for statement in session.statements
    )


def _last_waiting(session: Any) -> str:
    waited = [statement.step for statement in session.statements if statement.waited]
    return waited[-1] if waited else ""
