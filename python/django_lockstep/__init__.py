"""Deterministic PostgreSQL deadlocks for Django: provoked on the real server, every time, and explained.

Importing this package imports no Django; ``django_lockstep.dsn`` and the management command do.
"""

from django_lockstep._core import (
    Event,
    Report,
    Server,
    SessionReport,
    Statement,
    __version__,
    simulate_deadlock,
)
from django_lockstep.exceptions import LockstepError

__all__ = [
    "Event",
    "LockstepError",
    "Report",
    "Server",
    "SessionReport",
    "Statement",
    "__version__",
    "simulate_deadlock",
]
