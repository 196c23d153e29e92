"""``provoke_deadlock``: it is the code under test that PostgreSQL aborts, every time, with and without privilege."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from busy import both_cores_busy
from django.db import connections
from ledger_code import FAST, HELD, WANTED, lock, retried
from orm.models import Account

from django_lockstep.testing import provoke_deadlock

TIMES = 200
pytestmark = [pytest.mark.usefixtures("ledger"), pytest.mark.alone]


def aborted(using: str, runs: int, **keywords: Any) -> int:
    """Run code that retries under an opponent that often; return how often it was aborted."""
    code = retried(lambda: lock(1, 2, using=using))
    deadlocks = 0
    for _ in range(runs):
        with provoke_deadlock(holding=HELD, wanting=WANTED, using=using, **keywords) as opponent:
            code()
        assert opponent.report is not None
        assert opponent.report.victims == ("code",), opponent.report.to_text()
        assert opponent.attempts == opponent.deadlocks + 1
        deadlocks += opponent.deadlocks
    return deadlocks


def test_with_privilege_200_of_200() -> None:
    assert aborted("default", TIMES, deadlock_timeout=FAST) == TIMES


def test_with_privilege_and_the_servers_own_timeout() -> None:
    assert aborted("default", 10) == 10


def test_without_privilege_200_of_200() -> None:
    def in_a_thread(number: int) -> int:
        connections["teller"].ensure_connection()
        first, second = 2 * number + 1, 2 * number + 2
        deadlocks = 0
        try:
            for _ in range(TIMES // 8):
                with provoke_deadlock(
                    holding=Account.objects.filter(pk=second),
                    wanting=Account.objects.filter(pk=first),
                    using="teller",
                ) as opponent:
                    retried(lambda: lock(first, second, using="teller"))()
                assert opponent.attempts == opponent.deadlocks + 1
                deadlocks += opponent.deadlocks
        finally:
            connections.close_all()
        return deadlocks

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(in_a_thread, range(8))) == TIMES


def test_without_privilege_and_with_a_short_timeout_200_of_200() -> None:
    assert aborted("hasty", TIMES) == TIMES


@pytest.mark.parametrize(
    ("using", "keywords"), [("default", {"deadlock_timeout": FAST}), ("teller", {}), ("hasty", {})]
)
def test_on_a_busy_machine(using: str, keywords: dict[str, float]) -> None:
    with both_cores_busy():
        assert aborted(using, 20, **keywords) == 20


def test_as_often_as_is_asked_for() -> None:
    assert aborted("default", 1, times=7, deadlock_timeout=FAST) == 7
