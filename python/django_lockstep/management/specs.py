"""``--list``, ``--scenario``, ``--spec`` and ``--matrix``: named scenarios, and specs of the user's own."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_lockstep._core import dsn_resolved
from django_lockstep.catalogue import run_scenario, scenario, scenarios
from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.management.progress import cells
from django_lockstep.spec import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.core.management.base import CommandParser, OutputWrapper

    from django_lockstep import Scenario, Server, SpecReport
    from django_lockstep._core import _Isolation

LEVELS: tuple[_Isolation, ...] = ("read committed", "repeatable read", "serializable")
WHAT_IFS = ("no_key", "nowait", "skip_locked", "lock_timeout")
FORMATS = {
    "list": ("text", "json"),
    "scenario": ("text", "json", "isolationtester"),
    "spec": ("text", "json", "isolationtester"),
    "matrix": ("text", "json", "markdown", "html"),
}
"""The faces that each of them has."""
ELSE = 3

_SCRATCH = re.compile(r"(^|[_-])(tests?|testing|scratch|tmp|temp|sandbox|regression|throwaway)([_-]|\d*$)")


def add_spec_arguments(parser: CommandParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("scenarios and specs")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--list", action="store_true", dest="list", help="The scenarios, what comes of each and with its fix."
    )
    one.add_argument("--scenario", metavar="NAME", help="Run this scenario, in a scratch schema.")
    one.add_argument(
        "--spec",
        nargs="+",
        metavar="FILE",
        help="Run these .spec files as they are, by the rules of PostgreSQL's isolationtester. Asks first, unless the "
        "database's name looks like that of a test or scratch database.",
    )
    one.add_argument(
        "--matrix",
        nargs="*",
        metavar="NAME",
        help="Run all scenarios, or these, under every isolation level and with every what-if.",
    )
    group.add_argument("--what-if", choices=WHAT_IFS, help="Ask for the scenario's locks in another way.")
    group.add_argument(
        "--yes-run-sql", action="store_true", help="Run the SQL of --spec on any database without asking."
    )


def mode_of(options: dict[str, Any]) -> str | None:
    """Return which of them is wanted, if any is; refuse what does not go with it."""
    modes = [
        mode for mode in FORMATS if options[mode] not in (None, False)
    ]  # `--matrix` alone is an empty list
    if not modes:
        if options["what_if"]:
            hint = "Name a scenario as well."
            message = f"--what-if goes with --scenario. {hint}"
            raise UsageError(message, hint=hint)
        return None
    if len(modes) > 1:
        hint = "Give one of them."
        message = f"--{' and --'.join(modes)} do not go together. {hint}"
        raise UsageError(message, hint=hint)
    (mode,) = modes
    given = {
        "rows": options["rows"] is not None,
        "sessions": options["sessions"] != 2,
        "sleep": options["sleep"] != 0,
        "model": options["model"] is not None,
        "lock": options["lock"] != "update",
        "victim": options["victim"] is not None,
        "lock-timeout": options["lock_timeout"] is not None,
        "statement-timeout": options["statement_timeout"] is not None,
        "repeat": options["repeat"] != 1,
        "what-if": options["what_if"] is not None and mode != "scenario",
        "isolation": options["isolation"] is not None and mode in {"list", "matrix"},
        "deadlock-timeout": options["deadlock_timeout"] is not None and mode in {"list", "spec"},
        "expect": options["expect"] is not None and mode != "spec",
    }
    wrong = [f"--{name}" for name, is_given in given.items() if is_given]
    if wrong:
        hint = f"Leave out {' and '.join(wrong)}."
        message = f"--{mode} does not go with {' and '.join(wrong)}. {hint}"
        raise UsageError(message, hint=hint)
    if options["format"] not in FORMATS[mode]:
        hint = f"Give one of {', '.join(FORMATS[mode])}."
        message = f"There is no {options['format']} of --{mode}. {hint}"
        raise UsageError(message, hint=hint)
    return mode


@dataclass(frozen=True)
class Stage:
    """What the command gives to each of them."""

    options: dict[str, Any]
    dsn: Callable[[], str]
    """Where to run; called when that is known to be needed."""
    show: Callable[[str], object]
    """Takes text for the reader; does nothing where standard output is for another face, or verbosity is 0."""
    deliver: Callable[[str], object]
    """Takes the result."""
    ask: Callable[[str, str], None]
    """Asks a question, and raises an error with the sentence if the answer is no."""
    stderr: OutputWrapper

    def hand_over(self, text: str, faces: dict[str, Callable[[], str]]) -> None:
        """Show the text, and deliver the face that is wanted; as text, it has been shown."""
        self.show(text)
        wanted = self.options["format"]
        self.deliver(text if wanted == "text" else faces[wanted]())


def run_mode(mode: str, stage: Stage) -> None:
    """Do what is wanted."""
    {"list": _list, "scenario": _scenario, "spec": _specs, "matrix": _matrix}[mode](stage)


def _list(stage: Stage) -> None:
    every = scenarios()
    outcomes = [_outcomes(one) for one in every]
    names, widest = max(len(one.name) for one in every), max(map(len, outcomes))
    lines = [
        f"{one.name:<{names}}  {outcome:<{widest}}  {one.title}\n"
        for one, outcome in zip(every, outcomes, strict=True)
    ]
    stage.hand_over(
        "".join(lines), {"json": lambda: json.dumps([_told(one) for one in every], indent=2) + "\n"}
    )


def _outcomes(one: Scenario) -> str:
    """Return what comes of the first permutation, and of the first that is fixed."""
    expected = one.expected()
    return f"{expected[one.fixed.index(False)]} → {expected[one.fixed.index(True)]}"


def _told(one: Scenario) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "teaches": one.teaches,
        "django": one.django,
        "fix": one.fix,
        "seen_in": list(one.seen_in),
        "permutations": [
            {
                "steps": steps,
                "fixed": fixed,
                "expected": {level: one.expected(level)[number] for level in LEVELS},
            }
            for number, (steps, fixed) in enumerate(zip(one.spec.permutations, one.fixed, strict=True))
        ],
    }


def _scenario(stage: Stage) -> None:
    options = stage.options
    one = scenario(options["scenario"])
    level: _Isolation = options["isolation"] or LEVELS[0]
    stage.show(_lesson(one))
    report = run_scenario(
        one.name,
        stage.dsn(),
        isolation=level,
        what_if=options["what_if"],
        deadlock_timeout=options["deadlock_timeout"],
        timeout=60.0 if options["timeout"] is None else options["timeout"],
        on_start=lambda server: _say_before(stage, server),
    )
    text = report.to_text(max(1, options["verbosity"]))
    _hand_over(stage, report, text)
    _judge(report)
    wanted = one.expected(level)
    if options["what_if"] is None and report.effects != wanted:
        message = f"Expected {'; '.join(wanted)}, but it came to {'; '.join(report.effects)}."
        raise CommandError(message, returncode=ELSE)


def _lesson(one: Scenario) -> str:
    """Return what there is to know before it is run."""
    lines = [f"{one.name}: {one.title}", "", textwrap.fill(one.teaches, 100), ""]
    for label, text in (("Django", one.django), ("Fix", one.fix)):
        first, *more = text.split("\n")
        lines += [f"{label}: {first}", *(f"    {line}" for line in more), ""]
    return "\n".join([*lines, f"Seen in: {', '.join(one.seen_in)}", "", ""])


def _say_before(stage: Stage, server: Server) -> None:
    """Say before the run what the role may not do."""
    if not server.may_set_deadlock_timeout:
        stage.show(
            f"Role {server.role} may not set deadlock_timeout: each deadlock takes {server.deadlock_timeout:g} s.\n\n"
        )


def _specs(stage: Stage) -> None:
    options = stage.options
    specs = [load_spec(Path(file)) for file in options["spec"]]
    dsn = stage.dsn()
    _may_run_sql(stage, dsn)
    skipped, complaints = [], []
    for spec in specs:
        try:
            report = spec.run(
                dsn,
                isolation=options["isolation"],
                timeout=3600.0 if options["timeout"] is None else options["timeout"],
            )
        except Refused as error:
            if len(specs) == 1:
                raise
            skipped.append(f"{spec.name} was skipped: {error}")
            stage.stderr.write(skipped[-1])
            continue
        heading = f"{spec.name}\n" if len(specs) > 1 else ""
        _hand_over(stage, report, heading + report.to_text(max(1, options["verbosity"])))
        outcomes = {one.outcome for one in report.reports}
        if report.failure is not None:
            complaints.append(f"{spec.name} was given up: {report.failure.strip()}")
        elif options["expect"] is not None and options["expect"] not in outcomes:
            complaints.append(
                f"Expected {options['expect']} of {spec.name}, but the outcomes were {', '.join(sorted(outcomes))}."
            )
    if complaints:
        raise CommandError("\n".join(complaints), returncode=ELSE)
    if skipped:
        message = f"{len(skipped)} of {len(specs)} specs were skipped."
        raise CommandError(message)


def _may_run_sql(stage: Stage, dsn: str) -> None:
    """Ask before SQL is run that somebody wrote, unless the database looks as if it were there for that."""
    database = dsn_resolved(dsn).get("dbname", "")
    if stage.options["embedded"] or stage.options["yes_run_sql"] or _SCRATCH.search(database.lower()):
        return
    what = f'A .spec file is SQL, and it is run as it is on database "{database}", which does not look like a test or '
    what += "scratch database by its name."
    if not stage.options["interactive"]:
        hint = "Name another database, or give --yes-run-sql."
        message = f"{what} {hint}"
        raise UsageError(message, hint=hint)
    stage.ask(f"{what} Run it? [y/N] ", "Nothing was run. Answer y, or give --yes-run-sql.")


def _hand_over(stage: Stage, report: SpecReport, text: str) -> None:
    stage.hand_over(
        text, {"json": lambda: f"{report.to_json()}\n", "isolationtester": report.to_isolationtester}
    )


def _judge(report: SpecReport) -> None:
    if report.failure is not None:
        message = f"It was given up: {report.failure.strip()}"
        raise CommandError(message, returncode=ELSE)


def _matrix(stage: Stage) -> None:
    options = stage.options
    names: Sequence[str] = options["matrix"]
    wanted = [scenario(name) for name in names] if names else list(scenarios())
    matrix = cells(
        wanted,
        stage.dsn(),
        stage.stderr,
        options,
        deadlock_timeout=options["deadlock_timeout"],
        timeout=3600.0 if options["timeout"] is None else options["timeout"],
        on_start=lambda server: _say_before(stage, server),
    )
    stage.hand_over(
        matrix.to_text(),
        {
            "json": lambda: f"{matrix.to_json()}\n",
            "markdown": matrix.to_markdown,
            "html": matrix.to_html,
        },
    )
