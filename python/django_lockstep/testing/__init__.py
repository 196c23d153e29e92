"""Running the user's own code in lock-step, for tests. Importing this imports Django."""

from django_lockstep.testing.ensemble import Ensemble
from django_lockstep.testing.together import run_together

__all__ = ["Ensemble", "run_together"]
