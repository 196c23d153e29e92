"""The parser that the reference of ``deadlock_test`` is made from: the command's own, as ``manage.py`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from sphinx.application import Sphinx


def parser() -> ArgumentParser:
    """Return the command's parser in a project with one database."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}})
        django.setup()
    from django_lockstep.management.commands.deadlock_test import Command

    return Command().create_parser("manage.py", "deadlock_test")


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive that draws a parser."""
    app.setup_extension("sphinxarg.ext")
    return {"parallel_read_safe": True}
