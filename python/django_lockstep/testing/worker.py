"""Threads that run one callable after the other."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class _WorkerThread(threading.Thread):
    """A thread of a worker's."""


def is_worker() -> bool:
    """Whether this is a worker's thread: what it does is some run's, and no other's to listen to."""
    return isinstance(threading.current_thread(), _WorkerThread)


class Worker:
    """A daemon thread that does one job after the other; a job must not raise.

    A daemon, because a job that never ends must not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = _WorkerThread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """The thread's identifier."""
        return self._thread.ident

    def submit(self, job: Callable[[], None]) -> None:
        """Do the job when those before it are done."""
        self._jobs.put(job)

    def dismiss(self) -> None:
        """End the thread when its jobs are done; does not wait."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # what it holds, until the next one comes
