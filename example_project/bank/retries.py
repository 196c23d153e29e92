"""Trying a transaction again that PostgreSQL has aborted to break a deadlock."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from django.db import OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLOCK_DETECTED = "40P01"

P = ParamSpec("P")
R = TypeVar("R")


def retry_on_deadlock(attempts: int = 3) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run the function again when PostgreSQL has aborted its transaction with 40P01, ``attempts`` times in all.

    It must be outside every ``atomic()``: only the end of the outermost one lets go of all its locks.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
            for _ in range(attempts - 1):
                try:
                    return function(*args, **kwargs)
                except OperationalError as error:
                    if not is_deadlock(error):
                        raise
            return function(*args, **kwargs)

        return attempt

    return decorate


def is_deadlock(error: OperationalError) -> bool:
    """Whether it is PostgreSQL's 40P01. psycopg calls the code ``sqlstate``, psycopg2 ``pgcode``."""
    cause = error.__cause__
    return DEADLOCK_DETECTED in (getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None))
