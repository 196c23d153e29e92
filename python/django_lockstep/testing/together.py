"""``run_together``: callables in lock-step, in turns or in a given order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.guards import dsn_of_free_alias, refuse_too_few
from django_lockstep.testing.names import names_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Event, Report


def run_together(
    *callables: Callable[[], Any],
    order: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
    timeout: float = 30.0,
    on_event: Callable[[Event], object] | None = None,
) -> Report:
    """Run callables at the same time, each on a thread and a Django connection of its own, a statement at a time.

    Every statement, COMMIT, ROLLBACK and savepoint of a callable is a step. The next step is taken only when the server
    has answered the one before, or says that it waits for a lock. The callables need not be edited.

    Args:
        *callables: Two or more, without arguments. A session is called what its callable is called, or ``A``, ``B``, …
            by its place, for lambdas and where two have the same name.
        order: Left out, strictly in turns. Or whose step is next, by letter or name, with blanks between:
            ``"A A B B"``. A step that must wait stays waiting, and the order goes on; where the order ends, the rest
            goes on in turns.
        using: The database alias that is connected to before the start. Other aliases on the same server are watched
            as well.
        timeout: For connecting, and again for the run, in seconds. A callable that does not come back is left behind.
        on_event: Called with each ``Event`` in the calling thread, between two steps.

    Returns:
        The report; each of its ``sessions`` has the ``result`` and the ``exception`` of its callable. What a callable
        raises is not raised here.

    Raises:
        UsageError: The arguments make no sense, or the order cannot be followed: the message says where and why.
        Refused: The alias is in an open ``atomic()``, as in every ``TestCase``; the test may not use it; or the
            caller is itself run in lock-step.
        ConnectionFailed: No connection could be made.
        CallTimeout: ``timeout`` ran out before the first step. (Later, that is ``Report.outcome``.)
    """
    refuse_too_few(callables)
    names = names_of(callables)
    numbers = None if order is None else numbers_of(order, names)
    dsn = dsn_of_free_alias(using, "run_together")
    with Ensemble(names, dsn, using, timeout) as ensemble:
        return ensemble.run(callables, numbers, on_event)
