"""The backends that this process itself has, on any of its threads."""

from __future__ import annotations

import gc
import threading

from django.db.backends.base.base import BaseDatabaseWrapper

from django_lockstep.testing import driver
from django_lockstep.testing.source import source_of_thread


def own_backends() -> list[tuple[int, bool, str | None]]:
    """Return each backend, whether it is the calling thread's, and where the code of its thread is at this moment.

    Django keeps connections in thread-locals, which cannot be listed from another thread; so the garbage collector is
    asked. That takes some milliseconds, and is done only when somebody outside a run is in the way.
    """
    here = threading.get_ident()
    found = []
    for thing in gc.get_objects():
        if not issubclass(type(thing), BaseDatabaseWrapper) or thing.vendor != "postgresql":
            continue
        raw = thing.connection
        if raw is not None and not raw.closed:
            ident = thing._thread_ident
            found.append((driver.backend_pid(raw), ident == here, source_of_thread(ident)))
    return found
