"""Has statements over many rows meet in the middle of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django_lockstep.testing.names import letter
from django_lockstep.testing.row_gate import NAME, Meeting, Row, compact, holder, meetings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep.testing.ensemble import Ensemble
    from django_lockstep.testing.explorer import Explorer


def meet(explorer: Explorer, until: float, *, hired: Callable[[list[str]], Ensemble]) -> None:
    """Run the schedules with a gate, if there are any; not after this time."""
    if len(explorer.several) < 2:
        return
    rows = [_surveyed(explorer, number) for number in range(len(explorer.callables))]
    meets = list(dict.fromkeys(meetings(rows)))
    if not meets:
        return
    with hired([*explorer.ensemble.names, NAME]) as ensemble:
        for meeting in meets:
            if time.monotonic() >= until:
                explorer.cut = True
                return
            _run(explorer, ensemble, meeting)


def _run(explorer: Explorer, ensemble: Ensemble, meeting: Meeting) -> None:
    state = explorer.state
    gate = holder(meeting.row, state.keys[meeting.row.table], state.using)
    order = meeting.order(len(explorer.callables))
    ran = explorer.run_only(order, ensemble.names, (ensemble, gate))
    explorer.take_down_deadlock(ran, meeting.spelt(letter))


def _surveyed(explorer: Explorer, number: int) -> dict[int, set[Row]]:
    """Return the rows of a session's statements over several, by the steps before; it runs first."""
    watches = explorer.ensemble.watches()
    watches[number].survey = explorer.state.survey()
    try:
        order = [number, *(other for other in range(len(explorer.callables)) if other != number)]
        explorer.serially(order)
    finally:
        watches[number].survey = None
    explorer.start_over()
    exists = explorer.state.exists
    return {
        steps: {
            Row(table, compact(key), exists=True)
            if exists(table, key)
            else Row(table, compact(others), exists=False)
            for table, key, others in rows
        }
        for steps, rows in watches[number].surveyed.items()
    }
