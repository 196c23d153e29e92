"""The options of ``deadlock_test``, and what they mean to the engine."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentTypeError
from typing import TYPE_CHECKING, Any

from django_lockstep.exceptions import UsageError
from django_lockstep.management.specs import PLAIN_FORMATS, add_spec_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.management.base import CommandParser

LOCKS = ("update", "no key update", "share", "key share", "advisory")
ISOLATION = ("read committed", "repeatable read", "serializable")
ALL_FORMATS = (*PLAIN_FORMATS, "isolationtester", "markdown")
"""Those of scenarios and specs as well."""
FACES = (
    "The face of the result (default: text). A deadlock, a log: text, json, mermaid, html; --repeat: text, json; "
    "--list: text, json; --scenario: text, json, html, mermaid, isolationtester; --spec: text, json, html, "
    "isolationtester; --matrix: text, json, markdown, html."
)
EXPECT = (
    "The outcome that is a success: of a deadlock, and of each run of --repeat (default: deadlock); with --spec, of "
    "some permutation of each file (default: any, if the file comes to its end). A scenario is held to the catalogue."
)


def add_arguments(parser: CommandParser, *, aliases: Sequence[str], outcomes: Sequence[str]) -> None:
    """Declare every option on the parser."""
    where = parser.add_argument_group("where").add_mutually_exclusive_group()
    where.add_argument(
        "--database", choices=aliases, metavar="ALIAS", help="The alias in DATABASES (default: default)."
    )
    where.add_argument("--dsn", help="A libpq connection string or postgresql:// URI instead of an alias.")
    where.add_argument(
        "--embedded",
        action="store_true",
        help="A throw-away PostgreSQL made for this command; needs the extra django-lockstep[embedded].",
    )
    where.add_argument(
        "--from-log",
        metavar="FILE",
        help="Run nothing: show the deadlocks in this PostgreSQL server log (stderr, csvlog, jsonlog; - is stdin).",
    )
    what = parser.add_argument_group("what")
    what.add_argument("--rows", nargs="+", type=int, metavar="ID", help="The ids to lock (default: 1 2 …).")
    what.add_argument(
        "--sessions", type=int, default=2, metavar="N", help="How many sessions; a ring if more than 2."
    )
    what.add_argument(
        "--sleep", type=float, default=0.0, metavar="S", help="Seconds between first and second lock."
    )
    what.add_argument("--model", metavar="APP.MODEL", help="Lock rows of this model instead of scratch rows.")
    what.add_argument("--lock", choices=LOCKS, default="update", help="The lock strength (default: update).")
    what.add_argument("--isolation", choices=ISOLATION, help="The isolation level (default: the alias's).")
    what.add_argument("--victim", metavar="NAME", help="The session that PostgreSQL must abort: A, B, ….")
    add_spec_arguments(parser)
    _add_times(parser)
    show = parser.add_argument_group("result")
    show.add_argument(
        "--repeat", type=_count, default=1, metavar="N", help="Do it N times and show a summary."
    )
    show.add_argument(
        "--jobs",
        type=_count,
        default=1,
        metavar="N",
        help="With --repeat: so many runs at once, each on scratch rows of its own (default: 1).",
    )
    show.add_argument("--format", choices=ALL_FORMATS, default="text", help=FACES)
    show.add_argument("--deadlock", type=int, metavar="N", help="Which deadlock of the log (default: all).")
    show.add_argument("--output", metavar="FILE", help="Write the report to this file.")
    show.add_argument("--expect", choices=outcomes, help=EXPECT)
    show.add_argument(
        "--no-input",
        "--noinput",
        action="store_false",
        dest="interactive",
        help="Do not ask before locking real rows; refuse to run SQL without being asked.",
    )
    # Django offers it only where there are checks to skip; scripts that pass it to every command shall not fail.
    parser.add_argument("--skip-checks", action="store_true", help=SUPPRESS)


def _add_times(parser: CommandParser) -> None:
    times = parser.add_argument_group("times, in seconds")
    times.add_argument(
        "--deadlock-timeout", type=float, metavar="S", help="PostgreSQL's, if the role may set it."
    )
    times.add_argument("--lock-timeout", type=float, metavar="S", help="PostgreSQL's, for the sessions.")
    times.add_argument("--statement-timeout", type=float, metavar="S", help="PostgreSQL's, for the sessions.")
    times.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="For the whole run (default: 30; a scenario 60, a spec and the matrix 3600).",
    )


def check_output(output: object) -> None:
    """Check that the file of ``--output`` can be one."""
    if output is not None and not str(output).strip():
        hint = "Give the name of a file, or leave it out: then the result is written to standard output."
        message = f"--output {str(output)!r} names no file. {hint}"
        raise UsageError(message, hint=hint)


def check_options(options: dict[str, Any], *, outcomes: Sequence[str]) -> None:
    """Check what the engine does not: ``call_command`` lets past what the parser would refuse."""
    options["expect"] = options["expect"] or "deadlock"
    for name, choices in (("expect", outcomes), ("format", PLAIN_FORMATS)):
        if options[name] not in choices:
            hint = f"Give one of {', '.join(choices)}."
            message = f"There is no {name} {options[name]!r}. {hint}"
            raise UsageError(message, hint=hint)
    for name, none in (("repeat", "run"), ("jobs", "job")):
        if not isinstance(options[name], int) or options[name] < 1:
            hint = "Give a whole number of 1 or more."
            message = f"{name}={options[name]!r} makes no {none}. {hint}"
            raise UsageError(message, hint=hint)
    if options["jobs"] > 1 and (options["repeat"] == 1 or options["model"]):
        hint = "Leave --jobs out, or give --repeat and no --model."
        message = (
            f"--jobs are runs at once on scratch rows; one run, or a table of yours, is for one job. {hint}"
        )
        raise UsageError(message, hint=hint)
    if options["repeat"] > 1 and options["format"] not in {"text", "json"}:
        hint = "Leave out --repeat, or use --format text or json."
        message = f"There is no {options['format']} of many runs, only of one. {hint}"
        raise UsageError(message, hint=hint)
    if options["model"] and (options["dsn"] or options["embedded"]):
        hint = "Leave out --model, or use --database."
        message = f"--model goes with the project's own database, not with --dsn or --embedded. {hint}"
        raise UsageError(message, hint=hint)


def engine_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of ``simulate_deadlock``."""
    names = (
        "sleep",
        "sessions",
        "lock",
        "victim",
        "deadlock_timeout",
        "lock_timeout",
        "statement_timeout",
        "timeout",
    )
    arguments = {name: options[name] for name in names if options[name] is not None}
    if options["isolation"] is not None:
        arguments["isolation"] = options["isolation"]
    if options["rows"] is not None:
        arguments["rows"] = options["rows"]
    return arguments


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is not a whole number of 1 or more"
        raise ArgumentTypeError(message)
    return int(text)
