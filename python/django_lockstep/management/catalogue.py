"""``--list``, ``--scenario`` and ``--matrix``: the catalogue on the command line."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_lockstep.catalogue import run_scenario, scenario, scenarios
from django_lockstep.exceptions import UsageError
from django_lockstep.management.progress import cells
from django_lockstep.management.stage import ELSE, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_lockstep import Scenario
    from django_lockstep._core import _Isolation
    from django_lockstep.management.stage import Stage

LEVELS: tuple[_Isolation, ...] = ("read committed", "repeatable read", "serializable")


def list_scenarios(stage: Stage) -> None:
    """Show what there is: each with what comes of it, and with its fix."""
    every = scenarios()
    rows = [("SCENARIO", "OUTCOME → WITH THE FIX", "WHAT HAPPENS")]
    rows += [(one.name, _outcomes(one), one.title) for one in every]
    text = _aligned(rows, stage.view.terminal_columns)
    stage.show(text)
    as_text = stage.options["format"] == "text"
    stage.deliver(text if as_text else json.dumps([_told(one) for one in every], indent=2) + "\n")


def _aligned(rows: Sequence[tuple[str, str, str]], columns: int | None) -> str:
    """Return the rows one below the other; where they do not fit, each title on lines of its own."""
    names, outcomes, titles = (max(map(len, column)) for column in zip(*rows, strict=True))
    if columns is None or columns >= names + outcomes + titles + 4:
        return "".join(f"{name:<{names}}  {outcome:<{outcomes}}  {title}\n" for name, outcome, title in rows)
    lines = []
    for name, outcome, title in rows:
        lines.append(f"{name:<{names}}  {outcome}\n")
        lines.append(textwrap.indent(textwrap.fill(title, max(20, columns - 4)), "    ") + "\n")
    return "".join(lines)


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


def play_scenario(stage: Stage) -> None:
    """Run one: the lesson, what happens as it happens, and whether that is what the catalogue says."""
    options = stage.options
    one = scenario(options["scenario"])
    level: _Isolation = options["isolation"] or LEVELS[0]
    numbers = _numbers(one, options)
    expected = dict(enumerate(one.expected(level), 1))
    lesson = _lesson(one, stage.view.columns)
    stage.show(lesson)
    report = run_scenario(
        one.name,
        stage.dsn(),
        isolation=level,
        what_if=options["what_if"],
        permutations=numbers,
        deadlock_timeout=options["deadlock_timeout"],
        timeout=60.0 if options["timeout"] is None else options["timeout"],
        on_start=stage.start,
        **stage.callbacks(one.spec, expected),
    )
    stage.show(report.conclusion(stage.view.columns))
    summary = _summary(one, options, numbers, report.effects) if report.failure is None else ""
    stage.show(summary)
    faces = {
        "text": lambda: lesson + report.to_text(max(1, options["verbosity"])) + summary,
        "json": lambda: f"{report.to_json()}\n",
        "html": lambda: report.to_html(
            f"{one.name}: {one.title}",
            [one.teaches, f"{level.upper()}. Seen in {', '.join(one.seen_in)}."],
            f"# In Django\n{one.django}\n\n# The fix\n{one.fix}",
        ),
        "mermaid": lambda: report.reports[0].to_mermaid() if report.reports else "",
        "isolationtester": report.to_isolationtester,
    }
    stage.deliver(faces[options["format"]]())
    judge(report, shown=stage.shown)
    wanted = tuple(expected[number] for number in numbers)
    if options["what_if"] is None and report.effects != wanted:
        message = f"Expected {'; '.join(wanted)}, but it came to {'; '.join(report.effects)}."
        raise CommandError(message, returncode=ELSE)


def _numbers(one: Scenario, options: dict[str, Any]) -> tuple[int, ...]:
    """Return which permutations to run: all; or the one that is asked for. A diagram is of one, so of the first."""
    if options["permutation"] is not None:
        number: int = options["permutation"]
        if not 1 <= number <= len(one.fixed):
            hint = f"Give a number from 1 to {len(one.fixed)}."
            message = f"There is no permutation {number} of {one.name}. {hint}"
            raise UsageError(message, hint=hint)
        return (number,)
    return (1,) if options["format"] == "mermaid" else tuple(range(1, len(one.fixed) + 1))


def _lesson(one: Scenario, columns: int) -> str:
    """Return what there is to know before it is run."""
    lines = [textwrap.fill(f"{one.name}: {one.title}", columns), "", textwrap.fill(one.teaches, columns), ""]
    for label, text in (("Django", one.django), ("Fix", one.fix)):
        lines += [
            f"{label}: {text}" if "\n" not in text else f"{label}:\n{textwrap.indent(text, '    ')}",
            "",
        ]
    return "\n".join([*lines, textwrap.fill(f"Seen in: {', '.join(one.seen_in)}", columns), "", ""])


def _summary(one: Scenario, options: dict[str, Any], numbers: Sequence[int], effects: Sequence[str]) -> str:
    """Return what came of it in a line for each permutation, beside what the catalogue says."""
    level: _Isolation = options["isolation"] or LEVELS[0]
    lines = [f"\nWhat came of it, {level}:\n"]
    for number, effect in zip(numbers, effects, strict=True):
        what = "with the fix" if one.fixed[number - 1] else "the problem"
        wanted = one.expected(level)[number - 1]
        beside = "as expected" if effect == wanted else f"expected: {wanted}"
        if options["what_if"]:
            beside = f"without {options['what_if']}: {wanted}"
        lines.append(f"  {number}, {what}: {effect} ({beside})\n")
    return "".join(lines)


def make_matrix(stage: Stage) -> None:
    """Run all of them, or some, under every isolation level and with every what-if."""
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
        on_start=stage.warn,
    )
    stage.show(matrix.to_text(stage.view.columns))
    faces = {
        "text": matrix.to_text,
        "json": lambda: f"{matrix.to_json()}\n",
        "markdown": matrix.to_markdown,
        "html": matrix.to_html,
    }
    stage.deliver(faces[options["format"]]())
