"""What the threads of this process are at: which of them wait for another thread, and which may act by themselves.

A thread that waits for a lock of Python's, or for what is made of one (a queue, an event, a thread's end, a future),
sleeps in futex(2). The kernel tells, for each thread, which call it sleeps in, with which arguments, so whether it will
wake up by the clock, and how often it has run (proc(5): ``/proc/self/task/N/syscall`` and ``status``). If two looks at
all threads agree, there was a moment between them at which all of them slept. Where the kernel does not tell, the
threads' frames do, less surely.
"""

from __future__ import annotations

import dis
import os
import platform
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from django_lockstep.testing import driver
from django_lockstep.testing.source import source_of_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from django_lockstep.testing.session import Session

CLOCK_GRACE = 1.0
"""A thread that was there before the run, and wakes up by the clock, is given so many seconds to do something."""

CONFIRMED_BY_KERNEL = 0.01
"""A session waits for another thread if it has been seen to for so many seconds without having run, …"""
CONFIRMED_BY_FRAMES = 0.05
"""… and where only frames tell, for so many."""

_CALLS = {"x86_64": (202, 0), "aarch64": (98, 63), "riscv64": (98, 63), "loongarch64": (98, 63)}
"""The numbers of futex(2) and read(2), which differ from machine to machine."""
_FUTEX, _READ = _CALLS.get(platform.machine(), (-1, -1)) if sys.maxsize > 2**32 else (-1, -1)
_FUTEX_WAITS = {0, 9}
"""``FUTEX_WAIT`` and ``FUTEX_WAIT_BITSET``."""
_FUTEX_PRIVATE, _FUTEX_CLOCK = 128, 256
"""Flags: between threads of one process only; which clock a timeout is of."""
_UNSEEN = {"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL"}
"""Instructions between a method's name and its call."""


class Stand(NamedTuple):
    """How a thread stands at one moment."""

    waits_for: str
    """``thread``, without a limit; ``input``; ``something`` else, perhaps the clock; ``nothing``: it runs."""
    runs: object
    """Differs if it has run meanwhile."""


class Watch:
    """Watches the threads during one run. What was there at its beginning is told from what has come since."""

    def __init__(self) -> None:
        self._at_first = {ident: _trace(frame) for ident, frame in sys._current_frames().items()}
        self._stuck: object = None
        self._stuck_since = 0.0

    def look(
        self, sessions: Sequence[Session]
    ) -> tuple[list[str | None], bool, list[tuple[int, str | None]]]:
        """Return what ``_core.Together`` asks of its ``threads``."""
        frames = sys._current_frames()
        frames.pop(threading.get_ident(), None)
        natives = {thread.ident: thread.native_id for thread in threading.enumerate()}
        first = {ident: _stand(frame, natives.get(ident)) for ident, frame in frames.items()}
        places = [session.where() for session in sessions]
        acting = _is_one_starting(frames)
        for ident, frame in frames.items():
            if _stand(frame, natives.get(ident)) != first[ident]:
                first[ident] = Stand("nothing", None)
        held_up = [
            place if place is not None and _waits_for_thread(first, session.ident) else None
            for session, place in zip(sessions, places, strict=True)
        ]
        ours = {session.ident for session in sessions}
        waiting = [
            session.ident for session, place in zip(sessions, held_up, strict=True) if place is not None
        ]
        stuck = [first[ident] for ident in waiting if ident is not None]
        if stuck != self._stuck:
            self._stuck, self._stuck_since = stuck, time.monotonic()
        if time.monotonic() - self._stuck_since < _confirmed_after():
            acting = True
        asking = []
        for ident, frame in frames.items():
            if ident in ours or first[ident].waits_for == "thread":
                continue
            backend = _backend_asked(frame)
            if backend is not None:
                asking.append((backend, source_of_thread(ident)))
            elif not self._is_bystander(ident, frame, first[ident]):
                acting = True
        return held_up, acting, asking

    def _is_bystander(self, ident: int, frame: FrameType, stand: Stand) -> bool:
        """Whether a thread is where it was before the run, so that nothing of the run's is its doing."""
        if stand.waits_for == "nothing" or self._at_first.get(ident) != _trace(frame):
            return False
        return stand.waits_for == "input" or time.monotonic() - self._stuck_since >= CLOCK_GRACE


def _is_one_starting(frames: dict[int, FrameType]) -> bool:
    """Whether there is a thread that had no frame yet: whoever starts one waits for it until it runs.

    To be asked between two looks at all threads: if it has run and gone by now, whoever started it has run, too.
    """
    known = {threading.get_ident(), *frames}
    started = {
        thread.ident for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)
    }
    return not {*started, *sys._current_frames()} <= known


def _confirmed_after() -> float:
    return CONFIRMED_BY_KERNEL if _FUTEX >= 0 else CONFIRMED_BY_FRAMES


def _waits_for_thread(stands: dict[int, Stand], ident: int | None) -> bool:
    return ident in stands and stands[ident].waits_for == "thread"


def _stand(frame: FrameType, native: int | None) -> Stand:
    if _FUTEX >= 0 and native is not None:
        try:
            return _stand_in_kernel(native)
        except (OSError, ValueError, IndexError):  # not for us to see, or the thread has ended
            pass
    trace = _trace(frame)
    if _waits_by_frame(frame):
        return Stand("thread", trace)
    # A thread that threading does not know, such as pytest-xdist's, which reads a pipe.
    return Stand("something" if native is not None else "input", trace)


def _stand_in_kernel(native: int) -> Stand:
    call = _read(f"/proc/self/task/{native}/syscall").split()
    runs = [
        line for line in _read(f"/proc/self/task/{native}/status").splitlines() if "ctxt_switches" in line
    ]
    if call[0] in {"running", "-1"} or not runs:
        return Stand("nothing", runs)
    number, arguments = int(call[0]), [int(argument, 16) for argument in call[1:7]]
    if number == _READ:
        return Stand("input", runs)
    _, operation, _, timeout, *_ = arguments
    is_wait = number == _FUTEX and operation & ~(_FUTEX_PRIVATE | _FUTEX_CLOCK) in _FUTEX_WAITS
    if is_wait and operation & _FUTEX_PRIVATE and timeout == 0:
        return Stand("thread", runs)
    return Stand("something", runs)


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 8192).decode()
    finally:
        os.close(descriptor)


def _trace(frame: FrameType | None) -> tuple[tuple[object, int], ...]:
    trace = []
    while frame is not None:
        trace.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(trace)


def _waits_by_frame(frame: FrameType) -> bool:
    """Whether a thread waits for another one without limit, as far as its innermost frame tells."""
    values = frame.f_locals
    if frame.f_globals.get("__name__") == "threading" and "timeout" in values:
        timeout = values["timeout"]
        return timeout is None or (isinstance(timeout, int | float) and timeout < 0)
    seen = [
        instruction
        for instruction in dis.get_instructions(frame.f_code)
        if instruction.offset <= frame.f_lasti and instruction.opname not in _UNSEEN
    ][-2:]
    if len(seen) < 2:
        return False
    before, last = seen
    if last.opname in {"BEFORE_WITH", "SETUP_WITH"}:
        return True
    is_call = last.opname in {"CALL", "CALL_FUNCTION", "CALL_METHOD"} and last.arg == 0
    return is_call and (before.opname == "LOAD_SPECIAL" or before.argval in {"acquire", "get"})


def _backend_asked(frame: FrameType | None) -> int | None:
    """Return the backend of the Django connection whose method the thread is in."""
    while frame is not None:
        this: Any = frame.f_locals.get("self")
        if issubclass(type(this), CursorWrapper):
            # Not by asking it: one that is just being made hands every name on to a cursor it has not got yet.
            this = vars(this).get("db")
        if issubclass(type(this), BaseDatabaseWrapper) and this.vendor == "postgresql":
            raw = vars(this).get("connection")
            return None if raw is None or raw.closed else driver.backend_pid(raw)
        frame = frame.f_back
    return None
