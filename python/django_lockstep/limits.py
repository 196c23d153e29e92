"""How far a search goes that was not told. Imports no Django: the pytest plugin sets it before there are settings."""

from __future__ import annotations

MAX_SCHEDULES = 10_000
MAX_SECONDS = 60.0


class Limits:
    """What holds for searches that give no limit of their own."""

    max_schedules: float = MAX_SCHEDULES
    """Schedules; ``math.inf`` for no limit."""


DEFAULTS = Limits()
