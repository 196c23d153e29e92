"""What the product prints, as it printed it while the site was built: ``{terminal} deadlock_test --sessions 5``.

The command is run by the example project's ``manage.py`` on a throw-away server. An option ``:status: 3`` says how it
ends, if not well. The picture is text, in the colours of a terminal: it can be searched, copied and read aloud.
"""

from __future__ import annotations

import html
import os
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives

if TYPE_CHECKING:
    from sphinx.application import Sphinx

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
COLUMNS = 100


def captured(command: str, status: int = 0) -> str:
    """Run ``manage.py`` with these arguments and return what it printed, colours included."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "NO_COLOR", "DJANGO_COLORS", "DJANGO_SETTINGS_MODULE"}
    }
    done = subprocess.run(  # noqa: S603 - commands of our own pages
        [sys.executable, "manage.py", *shlex.split(command), "--force-color"],
        cwd=EXAMPLE,
        env={**kept, "COLUMNS": str(COLUMNS), "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != status:
        message = f"manage.py {command} ended with {done.returncode}, not {status}: {done.stderr}"
        raise RuntimeError(message)
    return done.stdout + done.stderr


def as_html(output: str) -> str:
    """Return a terminal's output as the inside of a ``<pre>``."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.from_ansi(output.strip()), soft_wrap=True)
    return console.export_html(theme=MONOKAI, code_format="{code}", inline_styles=True)


SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 18 1268 {height}" role="img">
<title>What python manage.py deadlock_test prints</title>
<style>
text {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }}
{styles}
</style>
<rect x="-16" y="18" width="100%" height="100%" rx="8" fill="#14181f"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""rich's own has a window around it, and fetches a font from another site."""


def as_svg(output: str) -> str:
    """Return a terminal's output as a picture."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.from_ansi(output.strip()), soft_wrap=True)
    return console.export_svg(theme=MONOKAI, code_format=SVG, unique_id="lockstep")


class Terminal(Directive):
    """A command of the example project, and what it prints."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"status": directives.nonnegative_int}
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Run it; return the picture, and for builders other than HTML the text."""
        command = " ".join(self.arguments[0].split())
        output = captured(command, self.options.get("status", 0))
        label = html.escape(f"What python manage.py {command} prints", quote=True)
        prompt = f'<span class="prompt">$ python manage.py {html.escape(command)}</span>\n'
        opening = f'<pre class="terminal" tabindex="0" role="figure" aria-label="{label}">'
        return [nodes.raw("", f"{opening}{prompt}{as_html(output)}</pre>", format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Bring the directive."""
    app.add_directive("terminal", Terminal)
    return {"parallel_read_safe": True}


if __name__ == "__main__":  # make picture
    command, file = sys.argv[1:]
    told = captured(command).partition("\n\nA held")[0]
    Path(file).write_text(as_svg(f"$ python manage.py {command}\n{told}"), encoding="utf-8")
