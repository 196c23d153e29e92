"""A connection that was inherited by a fork is noticed, and nothing is tried on it."""

from __future__ import annotations

import pytest
from forking import DRIVERS, forking

pytestmark = pytest.mark.usefixtures("ledger")

REFUSED = """
    def refused(act):
        try:
            act()
        except Exception as error:
            say([type(error).__name__, str(error)])
        else:
            say("it was tried")
"""
PROVOKE = """
        from django_lockstep.testing import provoke_deadlock
        refused(provoke_deadlock(holding=Account(pk=2), wanting=Account(pk=1)).__enter__)
"""
TOGETHER = """
        from django_lockstep.testing import run_together
        refused(lambda: run_together(backend, backend))
"""


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("act", [PROVOKE, TOGETHER])
@pytest.mark.parametrize("imported", ["", "import django_lockstep.testing"])
def test_whether_we_were_there_at_the_fork_or_not(imported: str, act: str, driver: str) -> None:
    """Imported before the fork, the connection is marked; after it, its socket is found in the parent."""
    code = f"""{REFUSED}
    {imported}
    say([os.getpid(), backend()])
    def child():{act}
    forked(child)
    say(backend())
    """
    with forking(code, driver) as child:
        parent, pid = child.heard()
        kind, message = child.heard()
        assert kind == "Refused"
        assert f'has inherited the open connection "default" (backend {pid})' in message
        assert (
            f"from its parent ({parent}): both talk on one socket. Close the connections before the fork"
            in message
        )
        assert child.heard() == pid  # the parent's connection is as it was
        assert child.ended() == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_opened_after_the_fork_is_the_childs_own(driver: str) -> None:
    code = f"""{REFUSED}
    import django_lockstep.testing
    backend()
    connections.close_all()
    def child():
        backend()
        {PROVOKE.strip().splitlines()[0]}
        from django_lockstep.testing.fork import is_inherited
        say(is_inherited(connection))
        with provoke_deadlock(holding=Account(pk=2), wanting=Account(pk=1), strict=False) as opponent: pass
        say(opponent.findings)
    forked(child)
    """
    with forking(code, driver) as child:
        assert child.heard() is False
        assert child.heard() == ["never_asked"]
        assert child.ended() == (0, "")
