"""``--list``, ``--scenario``, ``--spec`` and ``--matrix``: their options, and ``--spec`` itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_lockstep._core import dsn_resolved
from django_lockstep.exceptions import Refused, UsageError
from django_lockstep.management.catalogue import list_scenarios, make_matrix, play_scenario
from django_lockstep.management.stage import ELSE
from django_lockstep.spec import load_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.management.base import CommandParser

    from django_lockstep import SpecReport
    from django_lockstep.management.stage import Stage

WHAT_IFS = ("no_key", "nowait", "skip_locked", "lock_timeout")
FORMATS = {
    "list": ("text", "json"),
    "scenario": ("text", "json", "html", "mermaid", "isolationtester"),
    "spec": ("text", "json", "html", "isolationtester"),
    "matrix": ("text", "json", "markdown", "html"),
}
"""The faces that each of them has."""
PLAIN_FORMATS = ("text", "json", "mermaid", "html")
"""Those of a plain deadlock."""

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
    group.add_argument(
        "--permutation",
        type=int,
        metavar="N",
        help="Only this one of the scenario's orders, from 1. (A Mermaid diagram is of one: the first.)",
    )
    group.add_argument("--what-if", choices=WHAT_IFS, help="Ask for the scenario's locks in another way.")
    group.add_argument(
        "--scratch",
        action="store_true",
        help="Run --spec in a scratch schema, as scenarios are: it is all of the sessions' search_path and is gone "
        "afterwards. It still asks first: SQL may name other schemas.",
    )
    group.add_argument(
        "--yes-run-sql", action="store_true", help="Run the SQL of --spec on any database without asking."
    )


def mode_of(options: dict[str, Any]) -> str | None:
    """Return which of them is wanted, if any is; refuse what does not go with it."""
    modes = [
        mode for mode in FORMATS if options[mode] not in (None, False)
    ]  # `--matrix` alone is an empty list
    if not modes:
        for option, mode in (("what_if", "scenario"), ("permutation", "scenario"), ("scratch", "spec")):
            if options[option] not in (None, False):
                hint = f"Name a {mode} as well."
                message = f"--{option.replace('_', '-')} goes with --{mode}. {hint}"
                raise UsageError(message, hint=hint)
        check_format(options["format"], None)
        return None
    if len(modes) > 1:
        hint = "Give one of them."
        message = f"--{' and --'.join(modes)} do not go together. {hint}"
        raise UsageError(message, hint=hint)
    (mode,) = modes
    given = {
        "from-log": options["from_log"] is not None,
        "deadlock": options["deadlock"] is not None,
        "what-if": options["what_if"] is not None and mode != "scenario",
        "permutation": options["permutation"] is not None and mode != "scenario",
        "isolation": options["isolation"] is not None and mode in {"list", "matrix"},
        "scratch": options["scratch"] and mode != "spec",
        "deadlock-timeout": options["deadlock_timeout"] is not None
        and (mode == "list" or (mode == "spec" and not options["scratch"])),
        "expect": options["expect"] is not None and mode != "spec",
    }
    refuse_beside(f"--{mode}", [*of_a_run(options), *(name for name, is_given in given.items() if is_given)])
    check_format(options["format"], mode)
    return mode


def of_a_run(options: dict[str, Any]) -> list[str]:
    """Return the options given that only a deadlock of sessions of its own has a use for."""
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
    }
    return [name for name, is_given in given.items() if is_given]


def refuse_beside(what: str, names: Sequence[str]) -> None:
    """Refuse options that do not go with what is wanted, if there are any."""
    if names:
        wrong = " and ".join(f"--{name}" for name in names)
        hint = f"Leave out {wrong}."
        raise UsageError(f"{what} does not go with {wrong}. {hint}", hint=hint)


def check_format(form: str, mode: str | None) -> None:
    """Refuse a face that this mode has not; without a mode it is a plain deadlock, many of them, or a log's."""
    mine = FORMATS[mode] if mode else PLAIN_FORMATS
    if form in mine:
        return
    others = [f"--{other}" for other, forms in FORMATS.items() if form in forms]
    whose = f"--{mode}" if mode else "a plain deadlock, or of a log"
    what = f"{form} of {whose}, only of {' and '.join(others)}" if others else f"format {form!r}"
    hint = f"Give one of {', '.join(mine)}."
    message = f"There is no {what}. {hint}"
    raise UsageError(message, hint=hint)


def run_mode(mode: str, stage: Stage) -> None:
    """Do what is wanted."""
    modes = {"list": list_scenarios, "scenario": play_scenario, "spec": _specs, "matrix": make_matrix}
    modes[mode](stage)


def _specs(stage: Stage) -> None:
    """Run each file; show it as it happens."""
    options = stage.options
    specs = [load_spec(Path(file)) for file in options["spec"]]
    if len(specs) > 1 and options["format"] == "html":
        hint = "Give one file, or another format."
        message = f"An HTML page is of one spec, and here are {len(specs)}. {hint}"
        raise UsageError(message, hint=hint)
    dsn = stage.dsn()
    _may_run_sql(stage, dsn)
    several = len(specs) > 1
    told, skipped, complaints = [], [], []
    for spec in specs:
        heading = f"{spec.name}\n" if several else ""
        stage.show(heading)
        try:
            report = spec.run(
                dsn,
                isolation=options["isolation"],
                scratch=options["scratch"],
                deadlock_timeout=options["deadlock_timeout"],
                timeout=3600.0 if options["timeout"] is None else options["timeout"],
                on_start=lambda server: stage.show(f"{server}\n"),
                **stage.callbacks(spec),
            )
        except Refused as error:
            if not several:
                raise
            skipped.append(f"{spec.name} was skipped: {error}")
            stage.stderr.write(skipped[-1])
            continue
        stage.show(report.conclusion(stage.view.columns))
        told.append(_face(report, options, spec.name, heading))
        complaints += _complaints(spec.name, report, options["expect"], shown=stage.shown)
    if options["format"] == "json" and several:
        stage.deliver(f"[{', '.join(told)}]\n")
    else:
        stage.deliver("".join(told))
    if complaints:
        raise CommandError("\n".join(complaints), returncode=ELSE)
    if skipped:
        message = f"{len(skipped)} of {len(specs)} specs were skipped."
        raise CommandError(message)


def _face(report: SpecReport, options: dict[str, Any], name: str, heading: str) -> str:
    """Return the report as ``--format`` wants it."""
    faces = {
        "text": lambda: heading + report.to_text(max(1, options["verbosity"])),
        "json": lambda: f"{report.to_json()}\n",
        "html": lambda: report.to_html(name),
        "isolationtester": report.to_isolationtester,
    }
    return faces[options["format"]]()


def _complaints(name: str, report: SpecReport, expected: str | None, *, shown: bool) -> list[str]:
    """Return what is not as it should be; not again why it was given up, where that was shown."""
    outcomes = {one.outcome for one in report.reports}
    if report.failure is not None:
        return [f"{name} was given up{'.' if shown else f': {report.failure.strip()}'}"]
    if expected is not None and expected not in outcomes:
        return [f"Expected {expected} of {name}, but the outcomes were {', '.join(sorted(outcomes))}."]
    return []


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
