#!/usr/bin/env python
"""Django's command line, beside a throw-away PostgreSQL when DATABASE_URL names no other."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext

# Commands that never open the database, or only print their help; all others get one.
WITHOUT_DATABASE = {"help", "version", "--version", "check", "startapp", "startproject"}
HELP = {"--help", "-h"}


def database(arguments: list[str]) -> AbstractContextManager[object]:
    """Return what provides DATABASE_URL while the command runs."""
    command = arguments[1] if len(arguments) > 1 else "help"
    # The children of runserver's reloader and of `test --parallel` find DATABASE_URL set by their parent and
    # share its server. That is also why it starts here and not in settings.py, which each of them imports.
    if "DATABASE_URL" in os.environ or command in WITHOUT_DATABASE or HELP.intersection(arguments):
        return nullcontext()
    from bank_site.throwaway import throwaway_database

    return throwaway_database(filled=command not in {"test", "migrate"})


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank_site.settings")
    from django.core.management import execute_from_command_line

    with database(sys.argv):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
