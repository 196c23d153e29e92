"""The table of libpq's keywords in docs/connection.md, made from the program's own; run as a script to rewrite it."""

from __future__ import annotations

from pathlib import Path

from django_lockstep._core import DRIVER_KEYWORDS, LIBPQ_KEYWORDS

DOCUMENT = Path(__file__).parent.parent / "docs" / "connection.md"
BEGIN = "<!-- made by tests/keyword_table.py -->\n"
END = "<!-- end -->\n"


def rendered() -> str:
    """Return the tables as they must be."""
    lines = ["| keyword | variable | here | what it is for |", "| --- | --- | --- | --- |"]
    for keyword, variable, treatment, about, note in LIBPQ_KEYWORDS:
        told = f"{about}. *{treatment.capitalize()}:* {note}" if note else about
        lines.append(f"| `{keyword}` | {f'`{variable}`' if variable else ''} | {treatment} | {told} |")
    lines += ["", "What only a Python driver or Django knows is left out, by name:", ""]
    lines += ["| keyword | whose | why that is harmless |", "| --- | --- | --- |"]
    lines += [f"| `{keyword}` | {owner} | {why} |" for keyword, owner, why in DRIVER_KEYWORDS]
    return "\n".join(lines) + "\n"


def documented() -> str:
    """Return the tables as they are."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + rendered() + END + rest.partition(END)[2])
