"""``explore``: callables in every order of their statements."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from django_lockstep.exceptions import Nondeterministic, UsageError
from django_lockstep.limits import DEFAULTS, MAX_SECONDS
from django_lockstep.testing.bounds import Bounds
from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.explorer import Explorer, OtherVictim
from django_lockstep.testing.guards import (
    dsn_of_free_alias,
    refuse_other_than_test_database,
    refuse_too_few,
    refuse_uncallable,
)
from django_lockstep.testing.meet import meet
from django_lockstep.testing.names import names_of, numbers_of
from django_lockstep.testing.row_gate import NAME, holder, read
from django_lockstep.testing.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_lockstep.testing.exploration import Exploration

_ATTEMPTS = 3
"""A search is begun this often when a busy machine changes a deadlock's victim; twice when code goes another way."""


def explore(
    *callables: Callable[[], Any],
    setup: Callable[[], object] | None = None,
    invariant: Callable[[], object] | None = None,
    preemptions: int | None = None,
    max_schedules: float | None = None,
    max_seconds: float | None = None,
    using: str = DEFAULT_DB_ALIAS,
    only: str | None = None,
    seed: int | None = None,
    depth: int | None = None,
    reduced: bool = True,
    timeout: float = 30.0,
) -> Exploration:
    """Run callables in every order of their statements that can make a difference, each from the same committed state.

    Args:
        *callables: Two or more, without arguments. A session is called what its callable is called, or ``A``, ``B``, …
            by its place; a schedule names them by letters.
        setup: Called before every schedule, after what the last one changed was put back.
        invariant: Called after every schedule; it is broken if this raises or returns ``False``.
        preemptions: Only schedules with at most so many preemptions, fewest first.
        max_schedules: Stop after so many schedules; left out, after 10,000, or as ``--lockstep-max-schedules`` says.
            ``math.inf`` for no limit. A run that is begun again is none.
        max_seconds: Stop after so many seconds; left out, after 60. ``math.inf`` for no limit.
        using: The database alias. It must be a test database: its tables are written.
        only: One schedule, such as a finding's: ``"A B A B"``. Where it ends, the rest goes on by itself.
        seed: Random schedules (PCT) in place of all, until ``max_schedules`` or ``max_seconds``.
        depth: How many ordered steps a fault needs, for random schedules; left out, 3.
        reduced: ``False`` runs equivalent schedules as well.
        timeout: Seconds for connecting, and for each schedule.

    Raises:
        UsageError: The arguments make no sense; ``only`` cannot be followed; or ``setup`` or ``invariant`` leave a
            transaction open.
        Refused: Not a test database, or an open ``atomic()``.
        Nondeterministic: The same beginning led a callable to another statement than before; or the server would not
            let sessions have a row as they had come.
    """
    return search(
        callables,
        setup=setup,
        invariant=invariant,
        bounds=Bounds(
            preemptions=preemptions,
            seed=seed,
            depth=depth,
            reduced=reduced,
            max_schedules=DEFAULTS.max_schedules if max_schedules is None else max_schedules,
            max_seconds=MAX_SECONDS if max_seconds is None else max_seconds,
        ),
        using=using,
        only=only,
        timeout=timeout,
        what="explore",
    )


def search(
    callables: Sequence[Callable[[], Any]],
    *,
    setup: Callable[[], object] | None,
    invariant: Callable[[], object] | None = None,
    bounds: Bounds,
    using: str,
    only: str | None = None,
    timeout: float,
    what: str,
    judged: bool = True,
    until: frozenset[str] = frozenset(),
) -> Exploration:
    """Run a search. ``judged``: look for lost updates as well; ``until``: stop at the first finding of these kinds."""
    _check(callables, setup, invariant, bounds, only)
    names = names_of(callables)
    gated = read(only) if isinstance(only, str) else None
    order = only if gated is None else gated[0]
    numbers = None if order is None else tuple(numbers_of(order, names if gated is None else [*names, NAME]))
    dsn = dsn_of_free_alias(using, what)
    refuse_other_than_test_database(using, what)
    # The catalogue is read while the sessions connect.
    known = cache(partial(State, using))

    def hired(names: list[str]) -> Ensemble:
        return Ensemble(names, dsn, using, timeout, lambda: known().reaches)

    if gated is not None:
        names = [*names, NAME]
        callables = [*callables, holder(gated[1], _keys_of(gated[1].table, known()), using)]
    with hired(names) as ensemble:
        state = known()
        for attempt in range(_ATTEMPTS):
            try:
                explorer = Explorer(ensemble, callables, setup, invariant, state)
                explorer.spelt = only if gated is not None else None
                return explorer.explore(
                    bounds,
                    only=numbers,
                    judged=judged and gated is None,
                    until=until,
                    and_then=partial(meet, hired=hired) if numbers is None else None,
                )
            except OtherVictim as changed:
                if attempt == _ATTEMPTS - 1:
                    raise Nondeterministic(str(changed)) from None
            except Nondeterministic:
                # The first schedules may have filled caches of this process, such as that of content types.
                if attempt > 0:
                    raise
    raise AssertionError("the last attempt returns or raises")


def _keys_of(table: str, state: State) -> list[str]:
    if table not in state.keys:
        raise UsageError(
            f"There is no table {table} with a primary key. Paste the schedule as the finding has it."
        )
    return state.keys[table]


def _check(
    callables: Sequence[Callable[[], Any]],
    setup: object,
    invariant: object,
    bounds: Bounds,
    only: str | None,
) -> None:
    refuse_too_few(callables)
    for name, given in (("setup", setup), ("invariant", invariant)):
        if given is not None:
            refuse_uncallable(given, f"{name}={given!r:.80}")
    if only is not None and (bounds.seed is not None or bounds.preemptions is not None or not bounds.reduced):
        raise UsageError(
            "only=… is one schedule. Leave out seed, preemptions and reduced, which choose among many."
        )
