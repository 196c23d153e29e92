"""The article's program, rewritten: forks two children and says, as JSON, what came of it."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue


def child(kind: str, sleep: float, first: int, second: int, results: SimpleQueue[str]) -> None:
    """Lock two rows, as the article does, and tell how it ended."""
    from django.db import connection, connections, transaction

    from benches.place import TABLE

    if kind == "corrected":
        connections.close_all()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [first])
            time.sleep(sleep)
            cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [second])
    except Exception as error:  # noqa: BLE001 -- whatever it is, is the result
        results.put(getattr(error.__cause__, "sqlstate", None) or type(error).__name__)
    else:
        results.put("through")


def main() -> None:
    """Run it."""
    kind, sleep, socket, port = sys.argv[1:]
    from benches.django_settings import configure

    configure(socket, port)
    from django.db import connection

    connection.ensure_connection()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    start = time.perf_counter()
    children = [
        context.Process(target=child, args=(kind, float(sleep), *rows, results)) for rows in ((5, 6), (6, 5))
    ]
    for process in children:
        process.start()
    for process in children:
        process.join()
    seconds = time.perf_counter() - start
    ends = []
    while not results.empty():
        ends.append(results.get())
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        parent = "works"
    except Exception as error:  # noqa: BLE001 -- that is what is asked
        parent = type(error).__name__
    result = {"seconds": seconds, "ends": ends, "deadlocked": "40P01" in ends, "parent_connection": parent}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
