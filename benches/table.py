"""The results as tables, in Markdown that can be read on a terminal as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches import floor, lockstep
from benches.samples import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benches.samples import Samples
    from benches.targets import Target

TIMES = ("min", "median", "p99")
PEER_HEADING = ("", "runs", *TIMES, "to the floor", "ours to it", "wait above", "deadlocks", "victims")


def tables(results: dict[str, Any], samples: list[Samples], targets: list[Target]) -> str:
    """Return all of them."""
    machine = results["machine"]
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load'][0]} at the start; {machine['system']}, "
        f"PostgreSQL {machine['postgresql']}, Python {machine['python']}; "
        f"{'quick mode' if results['quick'] else 'full run'}, {results['seconds']:.0f} s."
    )
    parts = [
        where,
        _part("What is to be reached", ("", "measured", "target", ""), map(_target_row, targets)),
    ]
    for deadlock_timeout in sorted({one.deadlock_timeout for one in samples}, reverse=True):
        chosen = [one for one in samples if one.deadlock_timeout == deadlock_timeout]
        title = f"One deadlock, `deadlock_timeout` {deadlock_timeout * 1000:g} ms (times in ms)"
        parts.append(_part(title, PEER_HEADING, _peer_rows(chosen)))
    parts.append(
        _part(
            "The article's code, `deadlock_timeout` 1 s",
            ("", "runs", "deadlocks", "hung", "median s", "children", "parent's connection"),
            map(_seed_row, results["seed"]),
        )
    )
    parts.append(
        _part(
            "Deadlocks a second",
            ("deadlock_timeout", "pairs", "pgbench", "--repeat --jobs", "ratio"),
            (
                (
                    f"{row['deadlock_timeout'] * 1000:g} ms",
                    row["pairs"],
                    _number(row["pgbench_per_second"], ".0f"),
                    _number(row["repeat_per_second"], ".0f"),
                    _number(row["ratio"], ".2f"),
                )
                for row in results["rates"]
            ),
        )
    )
    parts.append(
        _part(
            "A ring, above a `deadlock_timeout` of 100 ms",
            ("sessions", "whole call ms", "the run in it ms"),
            (
                (row["sessions"], f"{row['call_above'] * 1000:.1f}", f"{row['run_above'] * 1000:.1f}")
                for row in results["ring"]
            ),
        )
    )
    parts.append(
        _part(
            "Many repeats in one process, `deadlock_timeout` 1 ms, victim B",
            ("", "runs", "seconds", "deadlocks", "victim B", "MB after a tenth", "MB at the end"),
            (
                (
                    "both cores busy" if row["busy"] else "nothing else",
                    row["runs"],
                    f"{row['seconds']:.1f}",
                    f"{row['share_deadlocked']:.2%}",
                    f"{row['share_with_chosen_victim']:.2%}",
                    f"{row['megabytes_after_a_tenth']:.1f}",
                    f"{row['megabytes_at_the_end']:.1f}",
                )
                for row in results["endurance"]
            ),
        )
    )
    parts.append(
        _part(
            "`explore`",
            ("sessions", "statements each", "schedules", "all of them", "begun again", "a second"),
            (
                (
                    row["sessions"],
                    row["statements"],
                    row["schedules"],
                    "yes" if row["complete"] else "no",
                    row["again"],
                    f"{row['per_second']:.0f}",
                )
                for row in results["explore"]
            ),
        )
    )
    parts.append(_part("Start and size", ("", ""), _start_rows(results)))
    return "\n".join(parts)


def _part(title: str, heading: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(heading))]
    lines = [_line(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    rule = _line("-" * width for width in widths)
    return "\n".join([f"\n**{title}**\n", lines[0], rule, *lines[1:], ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _target_row(target: Target) -> tuple[object, ...]:
    verdict = "reached" if target.reached else "MISSED BY MORE THAN 25 %" if target.failed else "not reached"
    bound = "≥" if target.at_least else "≤"
    return (
        target.what,
        f"{target.measured:.2f} {target.unit}",
        f"{bound} {target.limit:g} {target.unit}",
        verdict,
    )


def _peer_rows(samples: list[Samples]) -> Iterable[tuple[object, ...]]:
    medians = {one.peer: (spread(one.totals()) or {}).get("median") for one in samples}
    base, ours = medians.get(floor.NAME), medians.get(lockstep.NAME)
    for one in samples:
        total, wait = spread(one.totals()), spread(one.waits())
        if total is None:
            yield one.peer, 0, one.failure or "", *[""] * (len(PEER_HEADING) - 3)
            continue
        victims = ", ".join(f"{name} {count}" for name, count in one.victims().items())
        yield (
            one.peer,
            len(one.runs),
            *(f"{total[name] * 1000:.1f}" for name in TIMES),
            f"{total['median'] / base:.2f}" if base else "",
            f"{ours / total['median']:.2f}" if ours else "",
            f"{wait['median'] * 1000:.2f}" if wait else "",
            f"{one.share():.0%}",
            victims,
        )


def _seed_row(row: dict[str, Any]) -> tuple[object, ...]:
    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {count}" for name, count in counts.items())

    return (
        f"{row['kind']}, sleep {row['sleep']:g} s",
        row["runs"],
        row["deadlocked"],
        row["hung"],
        _number((row["seconds"] or {}).get("median"), ".2f"),
        listed(row["children"]),
        listed(row["parent_connection"]),
    )


def _start_rows(results: dict[str, Any]) -> Iterable[tuple[object, ...]]:
    start, wheel, specs = results["startup"], results["wheel"], results["conformance"]
    yield "`import django_lockstep`, above bare Python", f"{start['import_above_python'] * 1000:.1f} ms"
    yield "modules that it loads", start["modules"]
    yield "`manage.py deadlock_test --version`", f"{start['seconds']['deadlock_test'] * 1000:.0f} ms"
    yield "`manage.py check --version`", f"{start['seconds']['manage.py'] * 1000:.0f} ms"
    yield f"wheel ({wheel['of']})", f"{wheel['bytes'] / 1e6:.1f} MB"
    if specs:
        times = f"{specs['ours']:.1f} s, isolationtester {specs['isolationtester']:.1f} s"
        yield f"{specs['specs']} of PostgreSQL's isolation specs, {specs['rounds']} round(s)", times
        yield "of these with another output", ", ".join(specs["different"]) or "none"
    else:
        yield "PostgreSQL's isolation specs", "not run: they are not beside this clone"


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
