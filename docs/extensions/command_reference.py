"""The reference of ``deadlock_test``, from its own parser: ``{command} deadlock_test``."""

from __future__ import annotations

import re
from argparse import SUPPRESS, HelpFormatter
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser

    from sphinx.application import Sphinx

COLUMNS = 78


def parser(command: str) -> ArgumentParser:
    """Return the command's parser in a project with one database, as ``manage.py`` has it."""
    import django
    from django.conf import settings
    from django.core.management import load_command_class

    if not settings.configured:
        settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}})
        django.setup()
    return load_command_class("django_lockstep", command).create_parser("manage.py", command)


def usage(parser: ArgumentParser) -> str:
    """Return how the command is called, in lines that a page has room for."""
    formatter = HelpFormatter(parser.prog, width=COLUMNS)
    actions = [action for _, group in groups(parser) for action in group]
    for action in actions:
        if action.choices:  # they are told below, and some lists are longer than a line
            action.metavar = value(action)
    formatter.add_usage(None, actions, parser._mutually_exclusive_groups, prefix="")
    return re.sub(r"\n +", "\n    ", formatter.format_help().strip())


def shown(actions: list[Action]) -> list[Action]:
    """Return those that ``--help`` has, without itself."""
    return [each for each in actions if each.help is not SUPPRESS and each.dest != "help"]


def groups(parser: ArgumentParser) -> list[tuple[str, list[Action]]]:
    """Return the command's options by what they are about, those that every command of Django's has at the end."""
    ours = [group for group in parser._action_groups if group is not parser._optionals]
    told = [(group.title or "", group._group_actions) for group in ours]
    told += [("what every command of Django's has", parser._optionals._group_actions)]
    return [(title[:1].upper() + title[1:], shown(actions)) for title, actions in told if shown(actions)]


def invocation(action: Action) -> str:
    """Return the option as one types it, with a word for its value."""
    if action.nargs == 0:
        return ", ".join(action.option_strings)
    one = value(action)
    several = {"+": f"{one} [{one} …]", "*": f"[{one} …]"}
    return f"{', '.join(action.option_strings)} {several.get(str(action.nargs), one)}"


def value(action: Action) -> str:
    """Return the word for its value."""
    return str(action.metavar or action.dest.upper().replace("_", "-"))


class Command(Directive):
    """What it does, how it is called, and a section for each group of options."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return them."""
        its_parser = parser(self.arguments[0])
        call = nodes.literal_block(text=usage(parser(self.arguments[0])), language="text")
        return [
            nodes.paragraph(text=its_parser.description),
            call,
            *(self.group(title, actions) for title, actions in groups(its_parser)),
        ]

    def group(self, title: str, actions: list[Action]) -> nodes.section:
        """Return the options of one group."""
        section = nodes.section("", nodes.title(text=title), names=[nodes.fully_normalize_name(title)])
        self.state.document.note_implicit_target(section, section)
        section += nodes.definition_list("", *map(self.option, actions), classes=["options", "glossary"])
        return section

    def option(self, action: Action) -> nodes.definition_list_item:
        """Return one option."""
        name = action.option_strings[-1].lstrip("-")
        term = nodes.term("", "", nodes.literal(text=invocation(action)), ids=[f"option-{name}"])
        about = nodes.definition("", nodes.paragraph(text=(action.help or "") % {"default": action.default}))
        if action.choices and not action.metavar:  # a metavar stands for what each project has of its own
            choices = nodes.paragraph(text="One of ")
            for number, choice in enumerate(action.choices):
                choices += [nodes.Text(", " if number else ""), nodes.literal(text=str(choice))]
            about += choices
            choices += nodes.Text(".")
        return nodes.definition_list_item("", term, about)


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True}
