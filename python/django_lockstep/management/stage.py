"""What the command gives to whatever runs specs: where, how to show it as it happens, and who takes the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.core.management.base import OutputWrapper

    from django_lockstep import Report, Server, SpecReport
    from django_lockstep._core import Spec
    from django_lockstep.management.view import View

ELSE = 3


@dataclass(frozen=True)
class Stage:
    """What the command gives to each of its modes."""

    options: dict[str, Any]
    dsn: Callable[[], str]
    """Where to run; called when that is known to be needed."""
    view: View
    """Shows what is for the reader."""
    deliver: Callable[[str], object]
    """Takes the result."""
    ask: Callable[[str, str], None]
    """Asks a question, and raises an error with the sentence if the answer is no."""
    stderr: OutputWrapper

    @property
    def shown(self) -> bool:
        """Whether anything is shown: standard output may be for another face alone."""
        alone = self.options["format"] != "text" and not self.options["output"]
        return bool(self.options["verbosity"] > 0 and not alone)

    def show(self, text: str) -> None:
        """Show it, if anything is."""
        if self.shown:
            self.view.write(text)

    def warn(self, server: Server) -> None:
        """Say what the role may not do."""
        if not server.may_set_deadlock_timeout:
            what = f"Role {server.role} may not set deadlock_timeout"
            self.show(f"{what}: each deadlock takes {server.deadlock_timeout:g} s.\n\n")

    def start(self, server: Server) -> None:
        """Say what the role may not do, and where it takes place."""
        self.warn(server)
        self.show(f"{server}\n")

    def callbacks(self, spec: Spec, wanted: Mapping[int, str] | None = None) -> dict[str, Any]:
        """Return the callbacks of a run that show it as it happens. ``wanted`` is the effect of each permutation."""
        if not self.shown:
            return {}
        effect: str | None = None
        current = 0

        def begin(steps: str, number: int) -> None:
            nonlocal effect, current
            if number == current:
                self.view.note(
                    "That was not it: the machine was too busy to abort the session that was to be. It is run again."
                )
            current = number
            effect = wanted[number] if wanted else None
            self.view.part(spec.heading(steps, number, self.view.columns), spec.sessions)

        def conclude(report: Report, verdict: str) -> None:
            self.view.conclude(
                report, verdict, well=None if effect is None else verdict.endswith(f": {effect}")
            )

        return {
            "on_permutation": begin,
            "on_event": self.view.event,
            "on_report": conclude,
            "on_note": self.view.note,
        }


def judge(report: SpecReport, *, shown: bool) -> None:
    """Raise an error if it did not come to its end; it does not say again why, where that was shown."""
    if report.failure is not None:
        message = f"It was given up{'.' if shown else f': {report.failure.strip()}'}"
        raise CommandError(message, returncode=ELSE)
