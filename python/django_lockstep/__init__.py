"""Deterministic PostgreSQL deadlocks for Django: provoked on the real server, every time, and explained.

Importing this package imports no Django; ``django_lockstep.dsn`` and the management command do.
"""

from django_lockstep._core import (
    Event,
    Matrix,
    Report,
    Scenario,
    Server,
    SessionReport,
    Spec,
    SpecReport,
    Statement,
    __version__,
    simulate_deadlock,
)
from django_lockstep.catalogue import run_scenario, scenario, scenarios
from django_lockstep.exceptions import LockstepError
from django_lockstep.spec import load_spec

__all__ = [
    "Event",
    "LockstepError",
    "Matrix",
    "Report",
    "Scenario",
    "Server",
    "SessionReport",
    "Spec",
    "SpecReport",
    "Statement",
    "__version__",
    "load_spec",
    "run_scenario",
    "scenario",
    "scenarios",
    "simulate_deadlock",
]
