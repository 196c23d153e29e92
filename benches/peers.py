"""Who makes deadlocks here, and the interleaved run of all of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benches import by_hand, concurrent_helper, floor, isolationtester, lockstep
from benches.samples import Run, Samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.place import Place

PEERS: dict[str, Callable[[Place, float], Run]] = {
    floor.NAME: floor.run,
    by_hand.NAME: by_hand.run,
    lockstep.NAME: lockstep.run,
    lockstep.CHOSEN: lockstep.run_chosen,
    isolationtester.NAME: isolationtester.run,
    concurrent_helper.NAME: concurrent_helper.run,
}
SLOW = frozenset({concurrent_helper.NAME})
"""Peers that take seconds, whatever ``deadlock_timeout`` is: they are run at one of them only, and seldom."""
ABSENT = (FileNotFoundError, ImportError, subprocess.CalledProcessError)
"""How a peer that cannot be had says so."""


def measure(place: Place, rounds: dict[float, int], slow: tuple[float, int]) -> list[Samples]:
    """Run every peer so many times at each ``deadlock_timeout``, in turns: what else goes on falls on all alike.

    ``slow`` is the one ``deadlock_timeout`` at which slow peers are run, and how often.
    """
    found: list[Samples] = []
    for deadlock_timeout, times in rounds.items():
        names = [name for name in PEERS if name not in SLOW or deadlock_timeout == slow[0]]
        all_samples = {name: Samples(name, deadlock_timeout) for name in names}
        found.extend(all_samples.values())
        # The first is for what is loaded once; it does not count.
        for turn in range(-1, times):
            for name in _rotated(names, turn):
                samples = all_samples[name]
                if samples.failure or (name in SLOW and not 0 <= turn < slow[1]):
                    continue
                try:
                    run = PEERS[name](place, deadlock_timeout)
                except ABSENT as error:
                    samples.failure = f"not to be had here: {error}"
                    continue
                if turn >= 0:
                    samples.runs.append(run)
    return found


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]
