"""``explore``: callables in every order of their statements."""

from __future__ import annotations

import time
from itertools import permutations
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from django_lockstep._core import Search
from django_lockstep.exceptions import Nondeterministic, Refused, UsageError
from django_lockstep.testing import driver
from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.exploration import Exploration, Finding
from django_lockstep.testing.guards import dsn_of_free_alias
from django_lockstep.testing.names import letter, numbers_of
from django_lockstep.testing.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_lockstep import Report
    from django_lockstep._core import Ran

_ABORTED = {
    "deadlock_victim",
    "serialization_failure",
    "lock_timeout",
    "statement_timeout",
    "cancelled",
    "disconnected",
}


def explore(
    *callables: Callable[[], Any],
    setup: Callable[[], object] | None = None,
    invariant: Callable[[], object] | None = None,
    preemptions: int | None = None,
    max_schedules: int | None = 10_000,
    max_seconds: float | None = 60.0,
    using: str = DEFAULT_DB_ALIAS,
    only: str | None = None,
    seed: int | None = None,
    depth: int = 3,
    reduced: bool = True,
    timeout: float = 30.0,
) -> Exploration:
    """Run callables in every order of their statements that can make a difference, each from the same committed state.

    Args:
        *callables: Two or more, without arguments; the sessions ``A``, ``B``, ….
        setup: Called before every schedule, after what the last one changed was put back.
        invariant: Called after every schedule; it is broken if this raises or returns ``False``.
        preemptions: Only schedules with at most so many preemptions, fewest first.
        max_schedules: Stop after so many schedules.
        max_seconds: Stop after so many seconds.
        using: The database alias. It must be a test database: its tables are written.
        only: One schedule, such as a finding's: ``"A B A B"``.
        seed: Random schedules (PCT) in place of all; with ``max_schedules`` or ``max_seconds``.
        depth: How many ordered steps a fault needs, for random schedules.
        reduced: ``False`` runs equivalent schedules as well.
        timeout: Seconds for connecting, and for each schedule.

    Raises:
        UsageError: The arguments make no sense.
        Refused: Not a test database, or an open ``atomic()``.
        Nondeterministic: The same beginning led a callable to another statement than before.
    """
    if len(callables) < 2:
        raise UsageError("There is nothing to explore. Give two callables or more.")
    for function in callables:
        if not callable(function):
            raise UsageError(
                f"{function!r} cannot be called. Give functions without arguments, such as lambda: transfer(1, 2)."
            )
    if seed is not None and max_schedules is None and max_seconds is None:
        raise UsageError("Random schedules never end. Give max_schedules or max_seconds.")
    names = [letter(number) for number in range(len(callables))]
    order = None if only is None else numbers_of(only, names)
    dsn = dsn_of_free_alias(using, "explore")
    _refuse_other_than_test_database(using)
    state = State(using)

    def search() -> Search:
        return Search(
            names,
            state.deferred,
            read_committed=_is_read_committed(using),
            preemptions=preemptions,
            seed=seed,
            depth=depth,
            only=order,
            reduced=reduced,
            max_schedules=max_schedules,
            max_seconds=max_seconds,
        )

    with Ensemble(names, dsn, using, timeout) as ensemble:
        for attempt in range(_ATTEMPTS):
            try:
                explorer = _Explorer(ensemble, callables, setup, invariant, state)
                return explorer.explore(search(), judged=order is None)
            except _OtherVictim as changed:
                if attempt == _ATTEMPTS - 1:
                    raise Nondeterministic(str(changed)) from None
    raise AssertionError("the last attempt returns or raises")


class _OtherVictim(Nondeterministic):
    """The server aborted another session than before: the machine stalled for longer than the engine waits."""


class _Explorer:
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
        self.contended = False
        self.hung = False
        self.deadlocked = False
        self.found: dict[tuple[object, ...], Finding] = {}
        self.serial: dict[tuple[int, ...], object] = {}
        self.ended_well: dict[object, tuple[Ran, int]] = {}

    def explore(self, search: Search, *, judged: bool) -> Exploration:
        began = time.monotonic()
        try:
            while search.begin():
                self.take_down(self.run(search))
            if judged:
                self.judge(search)
        finally:
            self.state.restore()
        schedules, redundant, steps = search.statistics
        return Exploration(
            findings=tuple(self.found.values()),
            schedules=schedules,
            redundant=redundant,
            steps=steps,
            complete=search.complete and not self.hung,
            contended=self.contended,
            elapsed=time.monotonic() - began,
        )

    def run(self, search: Search) -> Ran:
        ensemble = self.ensemble
        self.state.restore()
        if self.setup is not None:
            self.setup()
        ensemble.cast(self.callables)
        try:
            ran = search.run(
                ensemble.together, ensemble.start, ensemble.stopping, ensemble.collect, ensemble.timeout
            )
        finally:
            ensemble.settle()
        if ran.diverged is not None:
            session, step, before, now = ran.diverged
            raise (_OtherVictim if self.deadlocked or ran.report.deadlocked else Nondeterministic)(
                f"The same beginning of a schedule led session {letter(session)} to something else than before, at its "
                f"step {step + 1}: {before or 'no statement'} before, {now or 'no statement'} now. Take out of the "
                "callable what no schedule decides (a clock, a random number, the order of a set), or fix it by a seed."
            )
        return ran

    def take_down(self, ran: Ran) -> None:
        report = ran.report
        self.contended |= any(
            statement.waited for session in report.sessions for statement in session.statements
        )
        if report.outcome in {"timeout", "blocked_by_outsider"}:
            self.hung = True
            kind = "hang" if report.outcome == "timeout" else "hidden_deadlock"
            self.add((kind,), kind, report.explanation.split("\n")[0], ran)
            return
        aborted = any(session.outcome in _ABORTED for session in report.sessions)
        if report.deadlocked:
            self.deadlocked = True
            steps = sorted(
                (session.name, _last_refused(session))
                for session in report.sessions
                if session.name in report.cycle
            )
            self.add(("deadlock", *steps), "deadlock", f"the cycle {' → '.join(report.cycle)}", ran)
        for session in report.sessions:
            error = session.exception
            if session.outcome == "serialization_failure":
                self.add(
                    ("serialization_failure", session.name),
                    "serialization_failure",
                    f"the server refused {session.name}: {session.message}",
                    ran,
                )
            elif error is not None and session.outcome not in _ABORTED:
                what = f"{session.name} raised {type(error).__name__}: {driver.text_of(error)}"
                self.add(("exception", session.name, type(error)), "exception", what, ran)
        self.check(ran)
        if aborted:
            return
        digest = (tuple(sorted(self.state.digests(logical=True).items())), _failures(report))
        if ran.serial is not None:
            self.serial[tuple(ran.serial)] = digest
        known = self.ended_well.get(digest)
        if known is None or ran.preemptions < known[0].preemptions:
            self.ended_well[digest] = (ran, known[1] + 1 if known else 1)
        else:
            self.ended_well[digest] = (known[0], known[1] + 1)

    def check(self, ran: Ran) -> None:
        if self.invariant is None:
            return
        try:
            broken = self.invariant() is False
            about = "the invariant returned False"
        except Exception as error:  # noqa: BLE001 whatever it raises says that it is broken
            broken = True
            about = f"the invariant raised {type(error).__name__}: {driver.text_of(error)}"
        if broken:
            self.add(("violation", about), "violation", about, ran)

    def judge(self, search: Search) -> None:
        """Find the lost updates: what no serial order comes to."""
        if len(self.callables) > _MOST_SESSIONS or (search.complete and len(self.ended_well) == 1):
            return  # too many; or all schedules come to the same, the serial ones among them
        serial = set(self.serial.values())
        for order in permutations(range(len(self.callables))):
            if order not in self.serial:
                ran = self.serially(order)
                if any(session.outcome in _ABORTED for session in ran.report.sessions):
                    return
                serial.add((tuple(sorted(self.state.digests(logical=True).items())), _failures(ran.report)))
        for digest, (ran, seen) in self.ended_well.items():
            if digest not in serial:
                about = "what the schedule leaves is not what any serial order leaves"
                self.found["lost_update", digest] = self.finding("lost_update", about, ran, seen)

    def serially(self, order: Sequence[int]) -> Ran:
        names = self.ensemble.names
        many = [number for number in order for _ in range(_MOST_STEPS)]
        search = Search(
            names,
            self.state.deferred,
            read_committed=True,
            preemptions=None,
            seed=None,
            depth=1,
            only=many,
            reduced=True,
            max_schedules=None,
            max_seconds=None,
        )
        search.begin()
        return self.run(search)

    def add(self, key: tuple[object, ...], kind: str, about: str, ran: Ran) -> None:
        known = self.found.get(key)
        seen = known.seen + 1 if known else 1
        if known is None or (ran.preemptions, len(ran.order)) < (
            known.preemptions,
            len(known.schedule.split()),
        ):
            self.found[key] = self.finding(kind, about, ran, seen)
        else:
            self.found[key] = Finding(
                known.kind, known.about, known.schedule, known.preemptions, known.report, seen
            )

    def finding(self, kind: str, about: str, ran: Ran, seen: int) -> Finding:
        schedule = " ".join(letter(number) for number in ran.order)
        return Finding(kind, about, schedule, ran.preemptions, ran.report, seen)


_ATTEMPTS = 3
"""A search is begun anew this often when a busy machine has changed the victim of a deadlock."""
_MOST_SESSIONS = 4
"""The serial orders of more sessions are too many to run beside the search."""
_MOST_STEPS = 10_000
"""A session has ended long before."""


def _last_refused(session: Any) -> str:
    waited = [statement.step for statement in session.statements if statement.waited]
    return waited[-1] if waited else ""


def _failures(report: Report) -> tuple[str, ...]:
    return tuple(type(session.exception).__name__ for session in report.sessions)


def _is_read_committed(using: str) -> bool:
    level = (connections[using].settings_dict.get("OPTIONS") or {}).get("isolation_level")
    return level is None or getattr(level, "name", str(level)).upper().replace(" ", "_") in {
        "READ_COMMITTED",
        "1",
    }


def _refuse_other_than_test_database(using: str) -> None:
    settings = connections[using].settings_dict
    name, test = str(settings["NAME"]), (settings.get("TEST") or {}).get("NAME")
    if name.startswith("test_") or (test and name == test):
        return
    hint = "Call it in a test: the test runner makes a database whose name begins with test_."
    raise Refused(
        f'explore writes to the tables of database "{name}", which does not look like a test database. {hint}',
        hint=hint,
    )
