"""The runs that an assertion judges by: one for each order that it tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.guards import dsn_of_free_alias, refuse_too_few
from django_lockstep.testing.names import names_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django_lockstep import Report


def attempts(
    callables: Sequence[Callable[[], Any]],
    *,
    order: str | None,
    setup: Callable[[], object] | None,
    using: str,
    timeout: float,
    what: str,
) -> Iterator[tuple[str, Report]]:
    """Run the callables in each order that is to be tried; return how it is called, and what happened.

    Left out, the orders are those that are strictly in turns: one for each session that can be the first. ``setup`` is
    called before each run, in the calling thread.
    """
    refuse_too_few(callables)
    names = names_of(callables)
    orders = {f"in turns, {name} first": [number] for number, name in enumerate(names)}
    if order is not None:
        orders = {f'in the order "{order}"': numbers_of(order, names)}
    dsn = dsn_of_free_alias(using, what)
    with Ensemble(names, dsn, using, timeout) as ensemble:
        for described, numbers in orders.items():
            if setup is not None:
                setup()
                dsn_of_free_alias(using, what)  # it may have begun a transaction
            yield described, ensemble.run(callables, numbers)
