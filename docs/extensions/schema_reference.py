"""The reference of the JSON, from the JSON Schema that is in the package: ``{schema} report-1.json``."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def shape(schema: dict[str, Any]) -> str:
    """Return what values a schema allows, as one would say it."""
    if "$ref" in schema:
        file, _, part = str(schema["$ref"]).rpartition("#")
        name = part.rpartition("/")[2] if part else file
        # A schema of another file is named as urn:django-lockstep:schema:NAME:VERSION.
        return name.split(":")[-2] if ":" in name else name
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(shape(each) for each in schema[several])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(f"array of {shape(schema['items'])}" if kind == "array" else kind for kind in kinds)


class Schema(Directive):
    """A section for the document and one for each of its definitions, with a table of the fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return them."""
        text = files("django_lockstep").joinpath("schema", self.arguments[0]).read_text(encoding="utf-8")
        schema = json.loads(text)
        parts = {schema["title"]: schema, **schema.get("$defs", {})}
        return [node for name, part in parts.items() for node in self.part(name, part)]

    def part(self, name: str, schema: dict[str, Any]) -> list[nodes.Node]:
        """Return one of them."""
        section = nodes.section(
            "", nodes.title(text=name), names=[nodes.fully_normalize_name(f"json-{name}")]
        )
        self.state.document.note_implicit_target(section, section)
        if about := schema.get("description"):
            section += nodes.paragraph(text=about)
        body = nodes.tbody()
        for field, each in schema["properties"].items():
            optional = "" if field in schema.get("required", ()) else " It may be left out."
            about = nodes.paragraph(text=each.get("description", "") + optional)
            kind = nodes.paragraph("", "", nodes.literal(text=shape(each)))
            name = nodes.paragraph("", "", nodes.literal(text=field))
            body += nodes.row("", nodes.entry("", name), nodes.entry("", about, kind))
        columns = [nodes.colspec(colwidth=width) for width in (1, 3)]
        section += nodes.table("", nodes.tgroup("", *columns, body, cols=2))
        return [section]


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive."""
    app.add_directive("schema", Schema)
    return {"parallel_read_safe": True}
