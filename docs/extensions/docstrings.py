"""The reference of a module, from its public names and their docstrings: ``{api} django_lockstep``.

What Rust defines is documented in the stub ``_core.pyi``; autoapi reads that and the sources, and imports nothing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.ext.napoleon import Config, GoogleDocstring

if TYPE_CHECKING:
    from types import ModuleType

    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PUBLIC = (
    "django_lockstep",
    "django_lockstep.testing",
    "django_lockstep.dsn",
    "django_lockstep.embedded",
    "django_lockstep.exceptions",
)
"""The modules whose names are public, each on its part of the reference."""


class Api(Directive):
    """Every public name of a module: functions, then classes, then the rest."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what autoapi makes of each of them."""
        module = importlib.import_module(self.arguments[0])
        lines = ["`````{eval-rst}"]  # the page is Markdown, autoapi's directives write reStructuredText
        for name in sorted(_public(module), key=lambda name: not inspect.isroutine(getattr(module, name))):
            kind = _kind(getattr(module, name))
            lines += [f".. autoapi{kind}:: {module.__name__}.{name}"]
            lines += ["   :members:", ""] if kind in {"class", "exception"} else [""]
        lines += ["`````"]
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


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """Lead from where a name is defined to where it is public; what is public nowhere stays without a link."""
    target = node.get("reftarget", "")
    place, _, name = target.rpartition(".")
    if values := _literals().get(name):
        return nodes.Text(values) if isinstance(text, nodes.Text) else type(text)("", values)
    if not place.startswith("django_lockstep"):
        return None
    for module in PUBLIC:
        if name in _public(importlib.import_module(module)):
            shown = nodes.Text(name) if isinstance(text, nodes.Text) else type(text)("", name)
            python, at = env.get_domain("py"), f"{module}.{name}"
            return python.resolve_xref(env, node["refdoc"], app.builder, "obj", at, node, shown)
    return text if hasattr(importlib.import_module(place), name) else None


@cache
def _literals() -> dict[str, str]:
    """Return what the stub's own names stand for: they are there for type checkers, and the reader wants the values."""
    stub = ast.parse(files("django_lockstep").joinpath("_core.pyi").read_text(encoding="utf-8"))
    return {
        target.id: " | ".join(ast.unparse(value) for value in literal.elts)
        for statement in stub.body
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name)
        if isinstance(literal := getattr(statement.value, "slice", None), ast.Tuple)
    }


def dashes(_app: Sphinx, page: nodes.document) -> None:
    """Make a dash of what Sphinx writes between a parameter and its description; two hyphens are an option's."""
    for text in list(page.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive, and read every docstring so."""
    app.add_directive("api", Api)
    app.connect("autodoc-process-docstring", process)
    app.connect("missing-reference", resolve)
    app.connect("doctree-read", dashes)
    return {"parallel_read_safe": True}
