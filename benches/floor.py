"""The floor: libpq alone, two connections, nothing else."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from psycopg import pq

from benches.place import TABLE, Place
from benches.samples import Run

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

NAME = "floor (libpq)"


def run(place: Place, deadlock_timeout: float) -> Run:
    """Make one deadlock; both waits begin at once."""
    start = time.perf_counter()
    dsn = place.dsn_at(deadlock_timeout).encode()
    first, second = (pq.PGconn.connect(dsn) for _ in range(2))
    for connection, row in ((first, 1), (second, 2)):
        connection.exec_(b"BEGIN")
        connection.exec_(_lock(row))
    asked = {}
    for connection, name, row in ((first, "A", 2), (second, "B", 1)):
        asked[name] = time.perf_counter()
        connection.send_query(_lock(row))
        connection.flush()
    told, victim = _verdict(first, second)
    for connection in (first, second):
        # A backend that waits does not notice that its client has gone: nobody may leave before all have answered.
        while connection.get_result() is not None:
            pass
        connection.exec_(b"ROLLBACK")
        connection.finish()
    return Run(time.perf_counter() - start, told - asked[victim], victim=victim)


def _lock(row: int) -> bytes:
    return f"SELECT 1 FROM {TABLE} WHERE id = {row} FOR UPDATE".encode()


def _verdict(first: PGconn, second: PGconn) -> tuple[float, str]:
    waiting = {first.socket: (first, "A"), second.socket: (second, "B")}
    while True:
        for socket in select.select(list(waiting), [], [])[0]:
            connection, name = waiting[socket]
            connection.consume_input()
            while not connection.is_busy() and (result := connection.get_result()) is not None:
                if result.error_field(pq.DiagnosticField.SQLSTATE) == b"40P01":
                    return time.perf_counter(), name
            if not connection.is_busy():
                del waiting[socket]
