"""Other Pythons that fork: Django in them is set up as ``orm`` does it, on the database of the fixture ``ledger``."""

from __future__ import annotations

import json
from pathlib import Path

from child import Child
from django.db import connections

SET_UP = """
    sys.path.insert(0, sys.argv[1])
    settings = json.loads(sys.argv[2])
    if sys.argv[3] == "psycopg2":
        sys.modules["psycopg"] = None
    import orm
    from django.db import connection, connections, transaction
    connections.databases["default"].update(settings)
    from orm.models import Account

    def backend():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    def more_threads_than(before):
        '''Return how many more there are, when those that have just ended have gone from /proc.'''
        deadline = time.monotonic() + 10
        while len(os.listdir("/proc/self/task")) > before and time.monotonic() < deadline:
            time.sleep(0.001)
        return len(os.listdir("/proc/self/task")) - before

    def forked(function):
        '''Run the function in a forked child; return when the child has ended.'''
        if child := os.fork():
            os.waitpid(child, 0)
            return
        try:
            function()
        finally:
            os._exit(0)
"""
DRIVERS = ("psycopg", "psycopg2")


def forking(code: str, driver: str = "psycopg") -> Child:
    """Start the code."""
    database = connections.databases["default"]
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
    # What comes first is the DSN of other tests' children.
    text = f"{SET_UP}{code}".replace("sys.argv[", "sys.argv[1 + ").replace("dsn = sys.argv[1 + 1]", "")
    return Child(
        text, "", str(Path(__file__).parent), json.dumps({name: database[name] for name in names}), driver
    )
