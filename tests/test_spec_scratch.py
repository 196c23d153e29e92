"""``.spec`` files in a scratch schema: what they see, who is aborted, and what a role may not."""

from __future__ import annotations

import io
import os
import signal
from typing import TYPE_CHECKING

import pytest
from spec_texts import DEADLOCK, ONE
from witness import schemas, tables_made, value

from django_lockstep import load_spec
from django_lockstep.exceptions import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeRole
    from witness import Connection

    from django_lockstep import Event
    from django_lockstep.embedded import EmbeddedServer


def test_a_scratch_schema_is_all_that_the_sessions_see(dsn: str, witness: Connection) -> None:
    """A table of the same name in the public schema is neither seen nor dropped."""
    tables_made(dsn, "CREATE TABLE spec_account (mine int)", "INSERT INTO spec_account VALUES (7)")
    try:
        report = load_spec(DEADLOCK).run(dsn, scratch=True)
        assert report.effects == ("40P01", "none")
        assert value(witness, "SELECT mine FROM public.spec_account") == 7
        assert schemas(witness) == []
    finally:
        tables_made(dsn, "DROP TABLE spec_account")


def test_the_first_to_wait_is_the_victim_of_a_scratch_run(dsn: str) -> None:
    spec = load_spec(DEADLOCK.replace("SET LOCAL deadlock_timeout = '10s';", ""))
    for _ in range(10):
        assert spec.run(dsn, scratch=True, permutations=[1], deadlock_timeout=0.05).reports[0].victims == (
            "A",
        )


def as_if_a_was_given_no_time() -> Callable[[Event], None]:
    """Freeze A's process in its first wait, until B's has looked for a deadlock."""
    frozen: list[int] = []

    def freeze(event: Event) -> None:
        if event.kind == "waiting" and event.session == "A" and not frozen:
            assert event.backend_pid is not None
            frozen.append(event.backend_pid)
            os.kill(event.backend_pid, signal.SIGSTOP)
        if event.kind == "error" and len(frozen) == 1:
            os.kill(frozen[0], signal.SIGCONT)
            frozen.append(0)

    return freeze


def test_an_attempt_that_is_run_again_is_marked_at_the_time(private_server: EmbeddedServer) -> None:
    from django.core.management.base import OutputWrapper
    from django.core.management.color import no_style

    from django_lockstep.management.stage import Stage
    from django_lockstep.management.view import View

    out = io.StringIO()
    options = {
        "verbosity": 1,
        "no_color": True,
        "force_color": False,
        "sessions": 2,
        "format": "text",
        "output": None,
    }
    view = View(OutputWrapper(out), no_style(), options)
    stage = Stage(options, lambda: "", view, print, print, OutputWrapper(out))
    spec = load_spec(DEADLOCK.replace("SET LOCAL deadlock_timeout = '10s';", ""))
    callbacks = stage.callbacks(spec)
    freeze, show = as_if_a_was_given_no_time(), callbacks.pop("on_event")

    def see(event: Event) -> None:
        show(event)
        freeze(event)

    spec.run(private_server.dsn, scratch=True, permutations=[1], on_event=see, **callbacks)
    first, again = out.getvalue().split("\nThat was not it: ")
    assert "deadlock detected" in first
    assert "DEADLOCK after" not in first
    assert "It is run again.\n\nPermutation 1: a1 b2 a2" in " ".join(again.split(" "))
    assert again.count("DEADLOCK after") == 1


def test_a_machine_that_is_too_busy_to_abort_the_right_one_tries_again(
    private_server: EmbeddedServer,
) -> None:
    spec = load_spec(DEADLOCK.replace("SET LOCAL deadlock_timeout = '10s';", ""))
    freeze = as_if_a_was_given_no_time()
    report = spec.run(private_server.dsn, scratch=True, permutations=[1], on_event=freeze)
    assert (report.effects, report.reports[0].victims) == (("40P01",), ("A",))
    (note,) = report.notes
    assert note.startswith(
        "Permutation 1 was run again: PostgreSQL aborted B, although A had begun to wait before; "
    )
    assert report.to_isolationtester().count("starting permutation") == 1


@pytest.mark.parametrize(
    ("what_if", "effect"),
    [(None, "40P01"), ("no_key", "40P01"), ("nowait", "55P03"), ("lock_timeout", "55P03")],
)
def test_what_would_happen_if_locks_were_asked_for_in_another_way(
    dsn: str, what_if: str | None, effect: str
) -> None:
    spec = load_spec(DEADLOCK.replace("SET LOCAL deadlock_timeout = '10s';", ""))
    report = spec.run(dsn, scratch=True, permutations=[1], what_if=what_if)  # type: ignore[arg-type]
    assert report.effects == (effect,)


def test_a_role_that_may_not_create_is_told_before_the_run(role: MakeRole) -> None:
    with pytest.raises(
        Refused, match=r"may not make a scratch schema in database \w+\. GRANT CREATE"
    ) as caught:
        load_spec(ONE).run(role(), scratch=True)
    assert caught.value.sqlstate == "42501"


def test_a_read_only_role_is_told_before_the_run(role: MakeRole, may_create: str) -> None:
    dsn = role(grant=may_create, settings={"default_transaction_read_only": "on"})
    with pytest.raises(Refused, match="Transactions are read-only here") as caught:
        load_spec(ONE).run(dsn, scratch=True)
    assert caught.value.sqlstate == "25006"


def test_a_role_that_may_not_set_deadlock_timeout_has_the_servers(
    role: MakeRole, may_create: str, witness: Connection
) -> None:
    spec = load_spec(DEADLOCK.replace("SET LOCAL deadlock_timeout = '10s';", ""))
    report = spec.run(role(grant=may_create), scratch=True, permutations=[1])
    assert report.effects == ("40P01",)
    (note,) = report.notes
    assert "may not set deadlock_timeout" in note
    assert schemas(witness) == []


def test_what_a_killed_run_has_left_is_swept(dsn: str) -> None:
    tables_made(dsn, "CREATE SCHEMA lockstep_0123456789abcdef")
    report = load_spec(ONE).run(dsn, scratch=True)
    assert report.notes == ("Removed lockstep_0123456789abcdef, which a run that was killed had left.",)
