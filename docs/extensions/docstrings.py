"""The reference of a module, from its public names and their docstrings: ``{api} django_lockstep``.

What Rust defines is documented in the stub ``_core.pyi``; autoapi reads that and the sources, and imports nothing.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.ext.napoleon import Config, GoogleDocstring

if TYPE_CHECKING:
    from types import ModuleType

    from sphinx.application import Sphinx


class Api(Directive):
    """Every public name of a module: functions, then classes, then the rest."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what autoapi makes of each of them."""
        module = importlib.import_module(self.arguments[0])
        lines = []
        for name in sorted(_public(module), key=lambda name: not inspect.isroutine(getattr(module, name))):
            kind = _kind(getattr(module, name))
            lines += [f".. autoapi{kind}:: {module.__name__}.{name}"]
            lines += ["   :members:", ""] if kind in {"class", "exception"} else [""]
        parent = nodes.section()
        parent.document = self.state.document
        self.state.nested_parse(StringList(lines, source=module.__name__), 0, parent)
        return parent.children


def _public(module: ModuleType) -> list[str]:
    """Return what ``__all__`` names, or else what the module itself defines, in the order of the source."""
    made_here = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return getattr(module, "__all__", None) or made_here


def _kind(thing: object) -> str:
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


def process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn the sections of a docstring, in Google's style, into fields.

    napoleon itself would take what stands before a colon in a property's sentence for the property's type.
    """
    kind = "method" if what in {"attribute", "data", "property"} else what
    lines[:] = GoogleDocstring(lines, Config(), app, kind, name, obj, options).lines()


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive, and read every docstring so."""
    app.add_directive("api", Api)
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
