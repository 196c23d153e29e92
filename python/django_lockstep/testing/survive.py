"""``assert_survives_deadlock``: code that must get through in spite of 40P01."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from django_lockstep.exceptions import NotSurvived
from django_lockstep.testing.guards import refuse_uncallable
from django_lockstep.testing.provoke import is_aborted, is_deadlock, provoke_deadlock

if TYPE_CHECKING:
    from collections.abc import Callable


_BLOCK: Any = object()
"""No function was given: a block is to come."""


class _Survival(provoke_deadlock):
    """As ``provoke_deadlock``; a 40P01 that leaves the block is a failure, too, and what follows from one."""

    def _judge(self, raised: BaseException | None) -> None:
        if raised is None or (isinstance(raised, Exception) and (is_deadlock(raised) or is_aborted(raised))):
            raise NotSurvived(self.told(), sqlstate="40P01" if self.deadlocks else None) from raised
        super()._judge(raised)


@overload
def assert_survives_deadlock(**provocation: Any) -> provoke_deadlock: ...
@overload
def assert_survives_deadlock(code: Callable[[], object], **provocation: Any) -> provoke_deadlock: ...
def assert_survives_deadlock(code: Callable[[], object] = _BLOCK, **provocation: Any) -> provoke_deadlock:
    """Assert that the code gets through although PostgreSQL aborts it with 40P01, ``times`` times.

    Call it with the code, or as a context manager around it; the keywords are those of ``provoke_deadlock``, and
    that is what comes back. Fails with ``NotSurvived``, an ``AssertionError`` whose message shows the timeline, if
    40P01 leaves the code, and if there is any finding: a code that was never aborted has survived nothing.
    """
    survival = _Survival(**provocation)
    if code is _BLOCK:
        return survival
    refuse_uncallable(code)
    with survival:
        code()
    return survival
