"""A throw-away PostgreSQL for one command of manage.py."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django_lockstep.embedded import EmbeddedError, EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def throwaway_database(*, filled: bool) -> Iterator[None]:
    """Have DATABASE_URL name a fresh PostgreSQL in the block; ``filled`` with the tables and two accounts."""
    # SIGTERM shall end the command as Ctrl-C does, with all its clean-up. The server would go in any case.
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        with EmbeddedServer() as server:
            os.environ["DATABASE_URL"] = server.dsn
            if filled:
                _fill()
            yield
    except EmbeddedError as error:
        raise SystemExit(f"{error}\nOr set DATABASE_URL to a PostgreSQL of yours.") from error
    finally:
        os.environ.pop("DATABASE_URL", None)
        signal.signal(signal.SIGTERM, before)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _fill() -> None:
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("loaddata", "accounts", verbosity=0)
    connections.close_all()  # the command shall start as it would on a server of its own
