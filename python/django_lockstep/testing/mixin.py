"""The assertions as methods of a test case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_lockstep.testing.assertions import assert_deadlocks, assert_no_deadlock
from django_lockstep.testing.explore import explore
from django_lockstep.testing.survive import assert_survives_deadlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_lockstep import Report
    from django_lockstep.testing.exploration import Exploration
    from django_lockstep.testing.provoke import provoke_deadlock


class LockstepMixin:
    """For ``TransactionTestCase``: other connections see only what is committed, and ``TestCase`` never commits."""

    def explore(self, *callables: Callable[[], Any], **keywords: Any) -> Exploration:
        """``explore``."""
        return explore(*callables, **keywords)

    def assertDeadlocks(self, *callables: Callable[[], Any], **keywords: Any) -> Report:  # noqa: N802 as unittest's
        """``assert_deadlocks``."""
        return assert_deadlocks(*callables, **keywords)

    def assertNoDeadlock(  # noqa: N802 as unittest's
        self, *callables: Callable[[], Any], **keywords: Any
    ) -> Exploration:
        """``assert_no_deadlock``."""
        return assert_no_deadlock(*callables, **keywords)

    def assertSurvivesDeadlock(  # noqa: N802 as unittest's
        self, *code: Callable[[], Any], **provocation: Any
    ) -> provoke_deadlock:
        """``assert_survives_deadlock``."""
        return assert_survives_deadlock(*code, **provocation)
