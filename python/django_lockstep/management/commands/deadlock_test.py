"""``manage.py deadlock_test``: a real deadlock on the project's own PostgreSQL, live, and why it happened."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep._core import OUTCOMES
from django_lockstep.exceptions import UsageError
from django_lockstep.management.arguments import add_arguments, engine_options
from django_lockstep.management.model import Target, target_of
from django_lockstep.management.repeat import Repetition, repeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from django_lockstep import Event, Report

USAGE, ELSE, INTERRUPTED = 2, 3, 130


class Command(BaseCommand):
    """Exit status: 0 as expected; 1 connection, configuration, permission; 2 usage; 3 something else happened."""

    help = "Makes a real deadlock on PostgreSQL, shows who waits for whom as it happens, and says why."
    requires_system_checks: list[str] = []  # noqa: RUF012 -- as Django declares it

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add_arguments(parser, aliases=tuple(connections), outcomes=tuple(OUTCOMES))

    def handle(self, **options: Any) -> None:
        """Run, show, judge."""
        try:
            with ExitStack() as stack:
                self._run(stack, options)
        except UsageError as error:
            raise CommandError(_told(error), returncode=USAGE) from error
        except LockstepError as error:
            raise CommandError(_told(error)) from error
        except KeyboardInterrupt as error:
            message = "Interrupted; every session was rolled back."
            raise CommandError(message, returncode=INTERRUPTED) from error

    def _run(self, stack: ExitStack, options: dict[str, Any]) -> None:
        target = Target()
        if options["model"]:
            target = target_of(options["model"], options["database"], has_dsn=bool(options["dsn"] or options["embedded"]))
        arguments = engine_options(options) | target.arguments()
        dsn = self._dsn(stack, options)
        if target.table and options["interactive"]:
            self._confirm(target)
        if options["repeat"] == 1:
            self._once(dsn, arguments, options)
        else:
            self._repeat(dsn, arguments, options)

    def _dsn(self, stack: ExitStack, options: dict[str, Any]) -> str:
        if options["embedded"]:
            from django_lockstep.embedded import EmbeddedServer

            return stack.enter_context(EmbeddedServer()).dsn
        if options["dsn"]:
            return str(options["dsn"])
        from django_lockstep.dsn import dsn_from_alias

        return dsn_from_alias(options["database"] or DEFAULT_DB_ALIAS)

    def _confirm(self, target: Target) -> None:
        question = (
            f'This locks rows of table "{target.table}" for a moment; other sessions that want them wait, and one of '
            "them may be the one that PostgreSQL aborts. Nothing is changed. Continue? [y/N] "
        )
        try:
            answer = input(question)
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            message = "Nothing was done. Answer y, or give --no-input."
            raise CommandError(message, returncode=USAGE)

    def _once(self, dsn: str, arguments: dict[str, Any], options: dict[str, Any]) -> None:
        live = options["format"] == "text" or bool(options["output"])
        report = simulate_deadlock(dsn, on_event=self._printer(options["verbosity"]) if live else None, **arguments)
        if live and options["verbosity"] > 0:
            self._conclude(report)
        self._deliver(_face(report, options), options, shown=live)
        self._judge(report, options["expect"])

    def _printer(self, verbosity: int) -> Callable[[Event], None] | None:
        if verbosity == 0:
            return None

        def show(event: Event) -> None:
            line = event.to_text(verbosity)
            if line is not None:
                self.stdout.write(self._painted(event.kind, line))
                self.stdout.flush()

        return show

    def _painted(self, kind: str, line: str) -> str:
        styles = {"waiting": self.style.WARNING, "error": self.style.ERROR, "commit": self.style.SUCCESS}
        paint = styles.get(kind)
        return line if paint is None else paint(line)

    def _conclude(self, report: Report) -> None:
        conclusion = report.conclusion()
        paint = self.style.SUCCESS if report.deadlocked else self.style.WARNING
        self.stdout.write(conclusion.replace(report.verdict, paint(report.verdict), 1), ending="")

    def _deliver(self, text: str, options: dict[str, Any], *, shown: bool) -> None:
        """Write the face that was asked for to its file, or to standard output if it is not there yet."""
        if options["output"]:
            try:
                Path(options["output"]).write_text(text, encoding="utf-8")
            except OSError as error:
                message = f"Cannot write {options['output']}: {error.strerror}. Give another file as --output."
                raise CommandError(message) from error
        elif not shown:
            self.stdout.write(text)

    def _judge(self, report: Report, expected: str) -> None:
        if report.outcome == expected:
            return
        # What was locked is part of the command line: ids that do not exist are a mistake there.
        missing = [
            statement.step
            for session in report.sessions
            for statement in session.statements
            if statement.rows == 0 and statement.step.startswith("row ")
        ]
        if report.outcome == "no_conflict" and missing:
            message = f"There is no {' and no '.join(sorted(set(missing)))}: give ids that exist as --rows."
            raise CommandError(message, returncode=USAGE)
        message = f"Expected {expected}, but the outcome was {report.outcome}. {report.explanation}"
        raise CommandError(message, returncode=ELSE)

    def _repeat(self, dsn: str, arguments: dict[str, Any], options: dict[str, Any]) -> None:
        repetition = repeat(
            lambda: simulate_deadlock(dsn, **arguments),
            options["repeat"],
            stream=self.stderr._out,  # noqa: SLF001 -- the terminal itself, for the progress bar
            quiet=options["verbosity"] == 0 or options["no_color"],
        )
        text = repetition.to_json() if options["format"] == "json" else repetition.to_text()
        as_text = options["format"] == "text" and options["verbosity"] > 0
        if as_text:
            self.stdout.write(repetition.to_text())
        self._deliver(text, options, shown=options["format"] == "text")
        self._judge_all(repetition, options["expect"])

    def _judge_all(self, repetition: Repetition, expected: str) -> None:
        as_expected = repetition.outcomes[expected]
        if as_expected != repetition.runs:
            message = f"Expected {expected} every time, but it came {as_expected} times in {repetition.runs} runs."
            raise CommandError(message, returncode=ELSE)


def _face(report: Report, options: dict[str, Any]) -> str:
    if options["format"] == "json":
        return report.to_json()
    return report.to_text(max(1, options["verbosity"]))


def _told(error: LockstepError) -> str:
    """Our sentences, then the server's own words."""
    lines = [str(error)]
    cause = error.__cause__
    if isinstance(cause, LockstepError):
        state = f" (SQLSTATE {cause.sqlstate})" if cause.sqlstate else ""
        lines.append(f"The server said: {cause}{state}")
        lines.extend(f"  {name}: {text}" for name, text in (("DETAIL", cause.detail),) if text)
    elif cause is not None:
        lines.append(f"The reason: {cause}")
    elif error.sqlstate:
        lines.append(f"(SQLSTATE {error.sqlstate})")
    return "\n".join(lines)
