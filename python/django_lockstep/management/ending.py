"""How the command ends when somebody wants it to: in order, with nothing left that could be removed."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.core.management.base import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPTED = 130


class Interrupted(CommandError, KeyboardInterrupt):
    """Ctrl-C: to the command line an exit status, to whoever calls the command what it was."""


def notes_of(error: BaseException) -> list[str]:
    """Return what was added to an exception: what could not be removed from the server."""
    return list(getattr(error, "__notes__", ()))


@contextmanager
def ended_in_order(tell: Callable[[str], object]) -> Iterator[None]:
    """Have SIGTERM and SIGHUP end what goes on as Ctrl-C does, and only then the process.

    Where somebody else has a say about them, that stays.
    """
    caught: list[int] = []

    def stop(number: int, _: object) -> None:
        if not caught:
            caught.append(number)
            raise KeyboardInterrupt

    ending = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Only the main thread may: Python manual, "Signals and threads".
    mine = ending if threading.current_thread() is threading.main_thread() else []
    mine = [number for number in mine if signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    except Interrupted as error:
        if not caught:
            raise
        tell(str(error))
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        if caught:
            signal.raise_signal(caught[0])
