"""``provoke_deadlock`` under another driver, in async code, and when it is interrupted or the server freezes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connections
from forking import DRIVERS, forking
from psycopg.conninfo import conninfo_to_dict
from witness import NothingLeftHere, value, wait_until

from django_lockstep.exceptions import CallTimeout
from django_lockstep.testing import AdvisoryLock, provoke_deadlock

if TYPE_CHECKING:
    from witness import Connection

    from django_lockstep.embedded import EmbeddedServer

pytestmark = pytest.mark.usefixtures("ledger")

CODE = """
    import asyncio
    from asgiref.sync import sync_to_async
    from django.db import OperationalError
    from django_lockstep.testing import provoke_deadlock
    from django_lockstep.testing.provoke import is_deadlock

    def transfer():
        while True:
            try:
                with transaction.atomic():
                    Account.objects.select_for_update().get(pk=1)
                    Account.objects.select_for_update().get(pk=2)
                return
            except OperationalError as error:
                if not is_deadlock(error): raise

    def opponent(**more):
        return provoke_deadlock(holding=Account(pk=2), wanting=Account(pk=1), times=2, **more)

    def tell(opponent):
        connections.close_all()
        sessions = {session.name: session.sqlstate for session in opponent.report.sessions}
        say([opponent.deadlocks, opponent.attempts, sessions])
        say(more_threads_than(threads))

    threads = len(os.listdir("/proc/self/task"))
"""
SURVIVED = [2, 3, {"opponent": None, "code": "40P01"}]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("keywords", ["", "deadlock_timeout=0.001"])
def test_with_either_driver(keywords: str, driver: str) -> None:
    code = f"""{CODE}
    with opponent({keywords}) as met: transfer()
    tell(met)
    """
    with forking(code, driver) as child:
        assert child.heard() == SURVIVED
        assert child.heard() == 0
        assert child.ended() == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_in_an_async_views_thread(driver: str) -> None:
    """Where Django runs a sync view of an async site, and the ORM's async methods."""
    code = f"""{CODE}
    async def view():
        met = await sync_to_async(opponent)()
        await sync_to_async(met.__enter__)()
        await sync_to_async(transfer)()
        await sync_to_async(met.__exit__)(None, None, None)
        await sync_to_async(tell)(met)
    asyncio.run(view())
    """
    with forking(code, driver) as child:
        assert child.heard() == SURVIVED
        child.heard()  # the event loop has threads of its own
        assert child.ended() == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_ctrl_c_in_the_block_leaves_nothing_behind(driver: str) -> None:
    code = f"""{CODE}
    met = opponent()
    try:
        with met:
            say("in the block")
            time.sleep(60)
    except KeyboardInterrupt:
        tell(met)
    """
    with forking(code, driver) as child:
        assert child.heard() == "in the block"
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == [0, 0, {"opponent": None}]
        assert child.heard() == 0
        assert child.ended() == (0, "")


def test_ctrl_c_while_the_opponent_waits_for_a_lock(witness: Connection) -> None:
    code = f"""{CODE}
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=2)
        from django_lockstep._core import Opponent
        from django_lockstep.dsn import dsn_from_alias
        say("locked")
        try:
            Opponent(
                dsn_from_alias(),
                ("row 2", "SELECT 1 FROM orm_account WHERE id = 2 FOR UPDATE", True),
                ("nothing", "", False),
                times=1, timeout=30, settings=[], deadlock_timeout=None,
            )
        except KeyboardInterrupt:
            say("interrupted")
    connections.close_all()
    say(more_threads_than(threads))
    """
    with forking(code) as child:
        assert child.heard() == "locked"
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_blocking_pids(pid) <> '{}'"
        wait_until(lambda: value(witness, waiting), "the opponent to wait")
        child.process.send_signal(signal.SIGINT)
        assert child.heard() == "interrupted"
        assert child.heard() == 0
        assert child.ended() == (0, "")


def frozen_backends(postmaster: int) -> list[int]:
    """Freeze the server's processes, and return them."""
    pids = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def test_a_frozen_server_does_not_hold_the_caller(private_server: EmbeddedServer) -> None:
    parts = conninfo_to_dict(private_server.dsn)
    names = {"NAME": "dbname", "USER": "user", "HOST": "host", "PORT": "port"}
    own = {name: parts[part] for name, part in names.items()}
    connections.databases["frozen"] = {**connections.databases["default"], **own}
    before = NothingLeftHere()
    assert private_server.pid is not None
    frozen: list[int] = []
    try:
        began = time.monotonic()
        with (
            pytest.raises(CallTimeout, match="while the opponent stepped aside"),
            provoke_deadlock(holding=AdvisoryLock(1), wanting=AdvisoryLock(2), using="frozen"),
        ):
            frozen.extend(frozen_backends(private_server.pid))
        assert time.monotonic() - began < 30
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        connections["frozen"].close()
        del connections["frozen"]
        del connections.databases["frozen"]
    before.check()
