"""`pages_check.py FOLDER`: whether the built site is whole. Says everything that is not.

Every public name has its place in the reference; nothing is left of a directive that was not understood; no page loads
anything from elsewhere; and in a real browser, as wide as a telephone and as a screen, nothing is wider than its place
but what scrolls by itself (code, tables), and the search finds what is there, without a server. Without Chromium the
last part is left out, visibly.
"""

from __future__ import annotations

import html
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = ("django_lockstep", "django_lockstep.testing", "django_lockstep.dsn", "django_lockstep.embedded")
WIDTHS = (390, 1440)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync"),
    *("--disable-quic", "--disable-dev-shm-usage", "--allow-file-access-from-files", "--dump-dom"),
]
MEASURE = """<!doctype html><body style="margin:0">{frames}<script>
addEventListener("load", () => setTimeout(() => {{
  const told = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument;
    const parts = [...page.querySelectorAll("html, body, .page, .main, .content")];
    const over = Math.max(...parts.map((part) => part.scrollWidth - part.clientWidth));
    return [frame.dataset.name, over, page.querySelectorAll("ul.search li").length];
  }});
  document.body.innerHTML = "<pre>" + JSON.stringify(told) + "</pre>";
}}, {wait}));
</script>"""


def names(site: Path) -> list[str]:
    """Return the public names that the reference has no place for, and the private ones that it shows."""
    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        found += [f"{name}.{each}" for each in module.__all__ if f'id="{name}.{each}"' not in page]
    errors = importlib.import_module("django_lockstep.exceptions")
    for name, thing in vars(errors).items():
        if inspect.isclass(thing) and f'id="{errors.__name__}.{name}"' not in page:
            found.append(f"{errors.__name__}.{name}")
    private = sorted(set(re.findall(r">(_[A-Z]\w+)<", page)))
    return [
        *(f"reference/api.html lacks {each}." for each in found),
        *(f"reference/api.html shows {each}, which nobody can look up there." for each in private),
    ]


def of_page(site: Path, page: Path) -> list[str]:
    """Return what is wrong with a page by its text."""
    name, text = page.relative_to(site), page.read_text(encoding="utf-8")
    found = [f"{name} shows a directive: {each}" for each in re.findall(r">\s*(\.\. \w+::[^<]*)", text)]
    loads = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"'](https?:[^\"']*)", text)
    loads += re.findall(r"<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"'](https?:[^\"']*)", text)
    return found + [f"{name} loads {each}." for each in loads]


def of_style(site: Path, sheet: Path) -> list[str]:
    """Return what a style sheet loads from elsewhere."""
    loads = re.findall(r"(?:url\(|@import\s+)[\"']?(https?:[^\"')\s]*)", sheet.read_text(encoding="utf-8"))
    return [f"{sheet.relative_to(site)} loads {each}." for each in loads]


def in_browser(site: Path, pages: list[Path], width: int) -> list[str]:
    """Return what is wrong with the pages in a window of this width."""
    addresses = {str(page.relative_to(site)): page.as_uri() for page in pages}
    addresses["the search for deadlock_timeout"] = (site / "search.html").as_uri() + "?q=deadlock_timeout"
    frames = "".join(
        f'<iframe data-name="{html.escape(name)}" src="{html.escape(address)}" width="{width}" height="800"></iframe>'
        for name, address in addresses.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "sheet.html")
        sheet.write_text(MEASURE.format(frames=frames, wait=4000), encoding="utf-8")
        browser = ["chromium", *FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={width + 50},900"]
        done = subprocess.run(
            [*browser, "--virtual-time-budget=30000", "--timeout=120000", sheet.as_uri()],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    told = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    if told is None:
        return [f"Chromium said nothing: {done.stderr[-500:]}"]
    found = []
    for name, over, hits in json.loads(html.unescape(told[1])):
        if over > 0:
            found.append(f"{name} is {over} pixels wider than its place in a window of {width}.")
        if name.startswith("the search") and not hits:
            found.append(f"{name} finds nothing.")
    return found


def main() -> int:
    """Write what is wrong; return how many complaints there are, at most 1."""
    site = Path(sys.argv[1]).resolve()
    pages = sorted(
        page for page in site.rglob("*.html") if not page.relative_to(site).parts[0].startswith("_")
    )
    found = names(site)
    for page in pages:
        found += of_page(site, page)
    for sheet in sorted(site.rglob("*.css")):
        found += of_style(site, sheet)
    if shutil.which("chromium"):
        for width in WIDTHS:
            found += in_browser(site, pages, width)
    else:
        sys.stderr.write("*** chromium is missing: THE SITE IS NOT LOOKED AT IN A BROWSER ***\n")
    for each in found:
        sys.stderr.write(f"{each}\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
