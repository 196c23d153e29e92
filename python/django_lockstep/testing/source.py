"""Where code is: the nearest frame outside Django and this package."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from functools import cache, partial
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from django_lockstep.testing import driver

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

NOT_THE_USERS = ("django", "django_lockstep", "psycopg", "psycopg2", "psycopg_pool", "asgiref")
"""The packages between the user's code and the server, besides Python's own library."""

_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple(f"{_LIBRARY}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))


def nearest_source(frame: FrameType | None = None) -> str | None:
    """Return ``file:line`` of the nearest frame that is the user's, from ``frame`` (or the caller) outwards."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        if _is_users(str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename):
            return _place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


@cache
def _is_users(module: str, filename: str) -> bool:
    """Whether code of this module and file is the user's; every step asks it of every frame below."""
    return module.partition(".")[0] not in NOT_THE_USERS and not _is_pythons(filename)


def _is_pythons(filename: str) -> bool:
    """Whether a file is of Python's own library. By its place: an application may well be called ``calendar``."""
    if filename.startswith("<frozen "):
        return True
    return filename.startswith(_LIBRARY) and not filename.startswith(_INSTALLED)


def source_of(function: Callable[..., Any]) -> str | None:
    """Return ``file:line`` of a callable's definition; nothing for one of this package, which nobody can mend there."""
    while isinstance(function, partial):
        function = function.func
    if str(getattr(function, "__module__", "")).partition(".")[0] == "django_lockstep":
        return None
    code = getattr(inspect.unwrap(function), "__code__", None)
    return _place(code.co_filename, code.co_firstlineno) if code is not None else None


def source_of_error(error: BaseException) -> str | None:
    """Return ``file:line`` of the innermost line of the user's that an exception came through."""
    place = None
    for frame, line in walk_tb(error.__traceback__):
        if _is_users(str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename):
            place = _place(frame.f_code.co_filename, line)
    return place


def told(error: BaseException) -> str:
    """Return an exception's name, the first line of what it says, and where it came from."""
    text = driver.first_line_of(error)
    place = source_of_error(error)
    return f"{type(error).__name__}{': ' if text else ''}{text}{f' (at {place})' if place else ''}"


def source_of_thread(ident: int | None) -> str | None:
    """Return ``file:line`` of where a thread is at this moment."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    if frame is None:
        return None
    return nearest_source(frame) or _place(frame.f_code.co_filename, frame.f_lineno)


def _place(filename: str, line: int) -> str:
    try:
        return f"{_shown(filename, os.getcwd())}:{line}"  # noqa: PTH109 a Path of it would take longer than the rest
    except OSError:  # a working directory that is gone
        return f"{filename}:{line}"


@cache
def _shown(filename: str, directory: str) -> str:
    """Return the file's path from that directory, if it is below it."""
    path = Path(filename)
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)
