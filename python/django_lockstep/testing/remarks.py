"""What to know about a search besides what it has found, in sentences that say no more than is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_lockstep import Report

_NEVER_WAITS = re.compile(r"\bNOWAIT\b|\bSKIP LOCKED\b|\bpg_try_advisory", re.IGNORECASE)


@dataclass
class Contention:
    """Whether sessions were in each other's way, and what kept them from it."""

    contended: bool = False
    """Whether a session waited for another one."""
    autocommit: bool = True
    """Whether no session ever began a transaction: each statement ran by itself, and let go of its locks at its end."""
    took_steps: bool = False
    """Whether there was a statement at all."""
    unwaiting: bool = False
    """Whether a statement asked for a lock without waiting for it."""

    def hear(self, report: Report) -> None:
        """Take down a run."""
        for session in report.sessions:
            self.took_steps |= bool(session.statements)
            self.contended |= any(statement.waited for statement in session.statements)
            self.unwaiting |= any(_NEVER_WAITS.search(statement.sql) for statement in session.statements)
        self.autocommit &= not any(event.kind == "begin" for event in report.events)

    @property
    def why_not(self) -> str:
        """What may have kept them out of each other's way, in a sentence; nothing where that is not known."""
        if self.autocommit and self.took_steps:
            return (
                "Every statement ran by itself, outside atomic(), so that its locks were gone when it had ended: "
                "nothing that a function has read is kept as it was until it writes."
            )
        if self.unwaiting:
            return "A statement with NOWAIT or SKIP LOCKED does not wait."
        return ""

    def told(self, schedules: int, *, complete: bool) -> str:
        """Return what there is to say if no session ever waited."""
        if not schedules:
            return "No schedule was run, so nothing is known."
        if self.contended:
            return ""
        extent = "any schedule" if complete else "what was run; what was not run may be another matter"
        known = f"No session waited for another one in {extent}."
        if complete and not self.why_not:
            known += " None of them ever asked for a lock that another one held."
        return f"{known} {self.why_not}".rstrip()


def remarks(
    contention: Contention,
    schedules: int,
    again: int = 0,
    *,
    complete: bool,
    only_deadlocks: bool,
    compared: bool,
) -> tuple[str, ...]:
    """Return what to know; ``compared``: whether the serial orders were run, to find lost updates."""
    told = [contention.told(schedules, complete=complete)]
    if only_deadlocks:
        told.append(
            "Only deadlocks were looked for, and what keeps a function from its end: no lost updates."
        )
    elif not compared:
        told.append(
            "Lost updates were not looked for: more than four functions have too many serial orders to compare with. "
            "Say in an invariant what must hold."
        )
    if again:
        runs = "One run was" if again == 1 else f"{again:,} runs were"
        told.append(
            f"{runs} begun again: PostgreSQL had let in a session before one that had come to wait earlier."
        )
    return tuple(filter(None, told))
