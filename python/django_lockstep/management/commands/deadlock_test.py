"""``manage.py deadlock_test``: a real deadlock on the project's own PostgreSQL, live, and why it happened."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep._core import OUTCOMES, _repeat_deadlock
from django_lockstep.dsn import dsn_from_alias, isolation_from_alias, primary_of
from django_lockstep.exceptions import UsageError
from django_lockstep.management.arguments import add_arguments, check_options, check_output, engine_options
from django_lockstep.management.ending import INTERRUPTED, Interrupted, ended_in_order, notes_of
from django_lockstep.management.log import check_log_options, chosen, faces_of, heading_of, reports_of
from django_lockstep.management.model import Target, target_of
from django_lockstep.management.repeat import Repetition, repeat
from django_lockstep.management.specs import mode_of, run_mode
from django_lockstep.management.stage import Stage
from django_lockstep.management.view import View, face_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.management.base import CommandParser

    from django_lockstep import Report

USAGE, ELSE = 2, 3
READ_ONLY = "25006"
"""The SQLSTATE of what a read-only transaction may not do."""


class Command(BaseCommand):
    """Exit status: 0 as expected; 1 connection, configuration, permission; 2 usage; 3 something else happened."""

    help = (
        "Makes a real deadlock on PostgreSQL, shows who waits for whom as it happens, and says why. "
        "What is shown: -v 0 nothing, 1 the steps and the verdict, 2 the SQL of each step as well, 3 the locks too."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 -- as Django declares it

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add_arguments(parser, aliases=tuple(connections), outcomes=tuple(OUTCOMES))

    def handle(self, **options: Any) -> None:
        """Run, show, judge."""
        with ended_in_order(self.stderr.write):
            self._handle(options)

    def _handle(self, options: dict[str, Any]) -> None:
        try:
            with ExitStack() as stack:
                self._run(stack, options)
        except UsageError as error:
            raise CommandError(_told(error), returncode=USAGE) from error
        except LockstepError as error:
            raise CommandError(_told(error)) from error
        except OSError as error:
            if not options["output"]:
                raise
            message = f"Cannot write {options['output']}: {error.strerror}. Give another file as --output."
            raise CommandError(message) from error
        except KeyboardInterrupt as error:
            message = " ".join(notes_of(error)) or "Nothing is left on the server."
            raise Interrupted(message, returncode=INTERRUPTED) from error

    def _run(self, stack: ExitStack, options: dict[str, Any]) -> None:
        check_output(options["output"])
        if mode := mode_of(options):
            self._run_mode(mode, stack, options)
            return
        if options["from_log"]:
            self._tell_log(stack, options)
            return
        check_options(options, outcomes=OUTCOMES)
        target = target_of(options["model"], options["database"]) if options["model"] else None
        arguments = engine_options(options) | (target.arguments() if target else {})
        dsn, defaults = self._source(stack, target, options)
        arguments = defaults | arguments
        if target and options["interactive"]:
            self._confirm(target)
        deliver = self._delivery(stack, options)
        if options["repeat"] == 1:
            self._once(dsn, arguments, options, deliver)
        else:
            self._repeat(dsn, arguments, options, deliver)

    def _run_mode(self, mode: str, stack: ExitStack, options: dict[str, Any]) -> None:
        """Run what is not a plain deadlock: scenarios and specs."""
        stage = Stage(
            options=options,
            dsn=lambda: self._source(stack, None, options)[0],
            deliver=self._delivery(stack, options),
            view=self._view(options),
            ask=self._ask,
            stderr=self.stderr,
        )
        run_mode(mode, stage)

    def _tell_log(self, stack: ExitStack, options: dict[str, Any]) -> None:
        check_log_options(options)
        deliver = self._delivery(stack, options)
        reports, where = reports_of(options["from_log"])
        wanted = chosen(reports, options["deadlock"])
        deliver(faces_of(wanted, where, options["format"], options["verbosity"]))
        if options["format"] == "text" and options["verbosity"] > 0:
            for number, report in enumerate(wanted, 1):
                view = View(self.stdout, self.style, options | {"sessions": len(report.sessions)})
                view.write(heading_of(number, len(wanted)))
                view.tell(report)

    def _source(
        self, stack: ExitStack, target: Target | None, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Return the DSN, and the arguments that go with it unless the command line says otherwise."""
        if options["embedded"]:
            from django_lockstep.embedded import EmbeddedServer

            return stack.enter_context(EmbeddedServer()).dsn, {}
        if options["dsn"]:
            return str(options["dsn"]), {}
        using = options["database"] or (target.using if target else DEFAULT_DB_ALIAS)
        stack.enter_context(_naming_the_primary(using))
        return dsn_from_alias(using), {"isolation": isolation_from_alias(using)}

    def _confirm(self, target: Target) -> None:
        question = (
            f'This locks rows of table "{target.table}" for a moment; other sessions that want them wait, and one of '
            "them may be the one that PostgreSQL aborts. Nothing is changed. Continue? [y/N] "
        )
        self._ask(question, "Nothing was done. Answer y, or give --no-input.")

    def _ask(self, question: str, otherwise: str) -> None:
        # Not on standard output, which may be a JSON file.
        self.stderr.write(question, style_func=str, ending="")
        self.stderr.flush()
        try:
            answer = input()
        except EOFError:
            self.stderr.write("")
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError(otherwise, returncode=USAGE)

    def _delivery(self, stack: ExitStack, options: dict[str, Any]) -> Callable[[str], object]:
        """Return what takes the result: the file, opened before anything is run, or standard output."""
        if not options["output"]:
            # As text it has been shown already.
            return (
                (lambda _: None)
                if options["format"] == "text"
                else View(self.stdout, self.style, options).write
            )
        delivered: list[str] = []

        def say(_: object, error: BaseException | None, __: object) -> None:
            if delivered and not isinstance(error, OSError):
                View(self.stdout, self.style, options).say_written(options["output"])

        stack.push(say)  # is called when the file has been closed
        write = _opened(stack, Path(options["output"]))

        def deliver(text: str) -> None:
            write(text)
            delivered.append(options["output"])

        return deliver

    def _view(self, options: dict[str, Any]) -> View:
        """Return what shows the run; nothing, where standard output is for another face alone."""
        alone = options["format"] != "text" and not options["output"]
        return View(self.stdout, self.style, options | {"verbosity": 0} if alone else options)

    def _once(
        self, dsn: str, arguments: dict[str, Any], options: dict[str, Any], deliver: Callable[[str], object]
    ) -> None:
        view = self._view(options)
        report = simulate_deadlock(dsn, on_start=view.start, on_event=view.event, **arguments)
        view.conclude(report)
        deliver(face_of(report, options["format"], max(1, options["verbosity"])))
        if report.outcome != options["expect"]:
            raise _complaint(report, f"Expected {options['expect']}, but the outcome was {report.outcome}.")

    def _repeat(
        self, dsn: str, arguments: dict[str, Any], options: dict[str, Any], deliver: Callable[[str], object]
    ) -> None:
        view, expected = self._view(options), options["expect"]
        repetition = Repetition(wanted=options["repeat"], expected=expected)

        def run(on_report: Callable[[Report], object]) -> None:
            many = {"jobs": options["jobs"], "on_start": view.start, "on_report": on_report}
            _repeat_deadlock(dsn, repetition.wanted, **many, **arguments)

        repeat(run, repetition, self.stderr, options)
        view.summarize(repetition.to_text())
        deliver(f"{repetition.to_json()}\n" if options["format"] == "json" else repetition.to_text())
        if repetition.broken_off:
            raise repetition.broken_off
        if repetition.odd:
            times = f"{repetition.outcomes[expected]} times in {repetition.runs} runs"
            raise _complaint(repetition.odd, f"Expected {expected} every time, but it came {times}.")


def _opened(stack: ExitStack, file: Path) -> Callable[[str], object]:
    return stack.enter_context(file.open("w", encoding="utf-8")).write


@contextmanager
def _naming_the_primary(using: str) -> Iterator[None]:
    """Say which alias to use when this one turns out to be a replica's."""
    try:
        yield
    except LockstepError as error:
        if error.sqlstate != READ_ONLY or (primary := primary_of(using)) is None:
            raise
        error.args = (f"{error} Here that is --database {primary}.",)
        raise


def _complaint(report: Report, sentence: str) -> CommandError:
    """Return the error for a run that did not end as expected."""
    # What was locked is part of the command line: ids that do not exist are a mistake there.
    missing = {
        statement.step
        for session in report.sessions
        for statement in session.statements
        if statement.rows == 0 and statement.step.startswith("row ")
    }
    if report.outcome == "no_conflict" and missing:
        message = f"There is no {' and no '.join(sorted(missing))}: give ids that exist as --rows."
        return CommandError(message, returncode=USAGE)
    return CommandError(f"{sentence} {report.explanation}", returncode=ELSE)


def _told(error: LockstepError) -> str:
    """Our sentences, then the server's own words."""
    lines = [str(error)]
    cause = error.__cause__
    if isinstance(cause, LockstepError) and cause.sqlstate:
        lines.append(f"The server said: {cause} (SQLSTATE {cause.sqlstate})")
        if cause.detail:
            lines.append(f"  DETAIL: {cause.detail}")
    elif cause is not None and str(cause) not in lines[0]:
        lines.append(f"The reason: {cause}")
    elif error.sqlstate:
        lines.append(f"(SQLSTATE {error.sqlstate})")
    elif error.detail:
        lines.append(error.detail)
    return "\n".join([*lines, *notes_of(error)])
