"""The table of supported versions, from the one source that the tests and the workflows go by: ``{support}``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import support


def lines() -> list[tuple[str, str]]:
    """Return what is supported, and in which versions."""
    wanted = support.matrix()
    since = [_since(name, lowest, wanted) for name, lowest in wanted["django"].items()]
    python = [f"{each[:-1]} free-threaded" if each.endswith("t") else each for each in wanted["python"]]
    return [
        ("CPython", ", ".join(python)),
        ("Django", ", ".join(since)),
        ("Django's driver", ", ".join(wanted["driver"])),
        ("PostgreSQL", ", ".join(wanted["postgresql"])),
    ]


def _since(django: str, lowest: dict[str, str], wanted: dict[str, Any]) -> str:
    """Return a Django's version, with what it wants that others do not."""
    wants = [
        f"{label} {lowest[name]} or later"
        for name, label in (("python", "CPython"), ("postgresql", "PostgreSQL"))
        if lowest[name] != wanted[name][0]
    ]
    return f"{django} ({', '.join(wants)})" if wants else django


class Support(Directive):
    """A table of two columns."""

    def run(self) -> list[nodes.Node]:
        """Return it."""
        body = nodes.tbody("", *(nodes.row("", *map(_entry, line)) for line in lines()))
        columns = (nodes.colspec(colwidth=1), nodes.colspec(colwidth=4))
        return [nodes.table("", nodes.tgroup("", *columns, body, cols=2))]


def _entry(text: str) -> nodes.entry:
    return nodes.entry("", nodes.paragraph(text=text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive."""
    app.add_directive("support", Support)
    return {"parallel_read_safe": True}
