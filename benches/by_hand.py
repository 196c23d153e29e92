"""By hand: two Python threads, each on its own Django connection, and a barrier after the first lock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from django.db import OperationalError, connections, transaction

from benches.place import TABLE, milliseconds
from benches.samples import Run

if TYPE_CHECKING:
    from benches.place import Place

NAME = "by hand (threads)"


def run(_: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock."""
    alias = _alias_for(deadlock_timeout)
    barrier = threading.Barrier(2)
    victims: list[str] = []

    def work(name: str, first: int, second: int) -> None:
        connection = connections[alias]
        try:
            with transaction.atomic(using=alias), connection.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [first])
                barrier.wait()
                cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR UPDATE", [second])
        except OperationalError:
            victims.append(name)
        finally:
            connection.close()

    start = time.perf_counter()
    threads = [threading.Thread(target=work, args=args) for args in (("A", 3, 4), ("B", 4, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Run(time.perf_counter() - start, None, bool(victims), next(iter(victims), None))


def _alias_for(deadlock_timeout: float) -> str:
    """Return a database alias whose connections have this ``deadlock_timeout``."""
    alias = f"ms{milliseconds(deadlock_timeout)}"
    if alias not in connections.settings:
        options = {"options": f"-c deadlock_timeout={milliseconds(deadlock_timeout)}ms"}
        connections.settings[alias] = connections.settings["default"] | {"OPTIONS": options}
    return alias
