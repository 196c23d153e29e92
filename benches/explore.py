"""How many schedules a search runs in a second, and how many there are to run.

    python benches/explore.py [--json] [--runs N]

The measure is a ratio, so that it means the same on any machine: schedules per second of the example's two transfers,
each from the same rows, to how often the same statements run in a second one after the other on one connection with
no gates. The two are measured in turns, N times; the median counts. At least 0.5 is wanted.

The search has its connections opened and the catalogue read, the other has not; so a second ratio is of the schedules
after the first alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
DATABASE = "test_bench_explore"
WANTED = 0.5

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def configured(dsn: str) -> None:
    """Make the example's tables in a database of their own, and have Django use it."""
    import django
    import psycopg
    from django.conf import settings
    from psycopg.conninfo import conninfo_to_dict

    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    parts = conninfo_to_dict(dsn)
    names = {"USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    database = {name: parts.get(part) or "" for name, part in names.items()}
    database |= {"ENGINE": "django.db.backends.postgresql", "NAME": DATABASE}
    sys.path.insert(0, str(ROOT / "example_project"))
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "bank"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def dropped(dsn: str) -> None:
    """Remove the database."""
    import psycopg
    from django.db import connections

    connections.close_all()
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def rows() -> None:
    """Leave four accounts and two groups."""
    from django.contrib.auth.models import Group

    from bank.models import Account

    Account.objects.all().delete()
    Group.objects.all().delete()
    Account.objects.bulk_create(
        Account(pk=key, owner=f"owner {key}", balance=1_000_000) for key in range(1, 5)
    )
    Group.objects.bulk_create(Group(pk=key, name=f"group {key}") for key in (1, 2))


def programs() -> dict[str, list[Callable[[], Any]]]:
    """Return what is counted."""
    from django.contrib.auth.models import Group
    from django.db import models, transaction

    from bank.models import Account
    from bank.transfers import transfer_naive

    def change(
        model: type[models.Model], field: str, keys: tuple[int, ...], value: Any
    ) -> Callable[[], None]:
        def run() -> None:
            with transaction.atomic():
                for key in keys:
                    model._default_manager.filter(pk=key).update(**{field: value})

        return run

    def transfer(source: int, target: int) -> Callable[[], None]:
        return lambda: transfer_naive(source, target, 1)

    def get_or_create() -> None:
        Group.objects.get_or_create(name="new")

    return {
        "two transfers": [transfer(1, 2), transfer(2, 1)],
        "two sessions on disjoint tables": [
            change(Account, "balance", (1, 2), 1),
            change(Group, "name", (1,), "changed"),
        ],
        "two sessions on disjoint rows": [
            change(Account, "balance", (1, 2), 1),
            change(Account, "balance", (3, 4), 1),
        ],
        "three sessions": [change(Account, "balance", (key,), key) for key in (1, 1, 2)],
        "a get_or_create pair": [get_or_create, get_or_create],
        "a pair of twelve statements": [
            change(Account, "balance", (1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2), 1),
            change(Account, "balance", (4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2), 2),
        ],
    }


def counts(most: int) -> Iterator[dict[str, Any]]:
    """Count the schedules of each program, with and without reduction."""
    from django_lockstep.testing import explore

    for name, callables in programs().items():
        rows()
        counted: dict[str, Any] = {"program": name}
        for way, reduced in (("reduced", True), ("all", False)):
            explored = explore(
                *callables, reduced=reduced, max_schedules=most if not reduced else 10_000, max_seconds=60
            )
            counted[way] = explored.schedules
            counted[f"{way}_complete"] = explored.complete
            counted[f"{way}_rate"] = round(explored.schedules / explored.elapsed, 1)
        yield counted


def ratio(runs: int) -> dict[str, Any]:
    """Measure the ratio."""
    from django_lockstep.testing import explore

    forth, back = programs()["two transfers"]
    serial, searched, further = [], [], []
    rows()
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(12):
            forth()
            back()
        serial.append(12 / (time.perf_counter() - began))
        first = explore(forth, back, max_schedules=1)
        explored = explore(forth, back)
        searched.append(explored.schedules / explored.elapsed)
        further.append((explored.schedules - 1) / (explored.elapsed - first.elapsed))
    each = [mine / theirs for mine, theirs in zip(searched, serial, strict=True)]
    each_further = [mine / theirs for mine, theirs in zip(further, serial, strict=True)]
    return {
        "schedules_per_second": round(statistics.median(searched), 1),
        "serial_per_second": round(statistics.median(serial), 1),
        "ratio": round(statistics.median(each), 3),
        "best_ratio": round(max(each), 3),
        "ratio_after_the_first": round(statistics.median(each_further), 3),
        "wanted": WANTED,
    }


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--runs", type=int, default=15, help="how often the ratio is measured (15)")
    parser.add_argument(
        "--most", type=int, default=2000, help="where the count without reduction ends (2000)"
    )
    options = parser.parse_args()
    from django_lockstep.embedded import EmbeddedServer

    named = os.environ.get("LOCKSTEP_TEST_DSN") or os.environ.get("DATABASE_URL")
    with nullcontext() if named else EmbeddedServer() as server:
        dsn = named or (server.dsn if server else "")
        configured(dsn)
        try:
            measured = {"transfers": ratio(options.runs), "schedules": list(counts(options.most))}
        finally:
            dropped(dsn)
    if options.json:
        json.dump(measured, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    transfers: dict[str, Any] = measured["transfers"]  # type: ignore[assignment]
    lines = [
        "explore, the example's two transfers: {schedules_per_second} schedules/s, {serial_per_second}/s one after the "
        "other; ratio {ratio} (best {best_ratio}; after the first {ratio_after_the_first}; wanted {wanted})".format(
            **transfers
        )
    ]
    for counted in measured["schedules"]:
        lines.append(
            "  {program}: {reduced} schedules, {all}{more} without reduction".format(
                **counted,  # type: ignore[arg-type]
                more="" if counted["all_complete"] else " or more",  # type: ignore[index]
            )
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
