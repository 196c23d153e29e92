"""`make release-check VERSION=1.2.3`: what must be true before that version is tagged. Says everything that is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONED = ("Cargo.toml", "Cargo.lock")
"""Where the version is; everything else takes it from there."""
VERSION = re.compile(r'(name = "django-lockstep"\nversion = ")([^"]+)"')
UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)

BEFORE_THE_FIRST = {
    "README.md": (
        (r"^pip install path/to/django-lockstep [^\n]*", "pip install django-lockstep"),
        (r" From a clone, pip\s+compiles for some minutes;[^.]*\.", ""),
    ),
    "docs/start/install.md": ((r"^## Until the first release\n.*?(?=^## )", ""),),
    "docs/start/tutorial.md": ((r" \(until the first release, [^)]*\)[^)]*\)", ""),),
}
"""What is true only as long as the package index does not have the package, and what is to be said then."""


def complaints(version: str, root: Path = ROOT) -> list[str]:
    """Return what is not ready, a sentence each."""
    found = malformed(version)
    for name in VERSIONED:
        match = VERSION.search((root / name).read_text(encoding="utf-8"))
        has = match[2] if match else None
        if has != version:
            found.append(f"{name} says {has}, not {version}. Run make release-prepare VERSION={version}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(
            f"CHANGELOG.md has no heading `## [{version}] - YYYY-MM-DD`. Run make release-prepare VERSION={version}."
        )
    unreleased = UNRELEASED.search(changelog)
    if unreleased and unreleased[1].strip():
        found.append("CHANGELOG.md has entries under Unreleased. Move them below the version's heading.")
    for name, pieces in BEFORE_THE_FIRST.items():
        page = (root / name).read_text(encoding="utf-8")
        if any(re.search(before, page, re.MULTILINE | re.DOTALL) for before, _ in pieces):
            found.append(
                f"{name} speaks of a time before any release. Run make release-prepare VERSION={version}."
            )
    return found


def malformed(version: str) -> list[str]:
    """Return what is wrong with the version itself. What Cargo and PyPI both take: 0.1.0, 0.1.0-rc.1."""
    if re.fullmatch(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?", version):
        return []
    return [f"{version!r} is no version. Give one such as 0.1.0 or 0.1.0-rc.1."]


def main() -> int:
    """Write the complaints; return how many there are, at most 1."""
    if len(sys.argv) != 2:
        sys.stderr.write("Give the version: make release-check VERSION=0.1.0\n")
        return 2
    found = complaints(sys.argv[1])
    for complaint in found:
        sys.stderr.write(f"{complaint}\n")
    if not found:
        sys.stdout.write(f"Versions and changelog are ready for v{sys.argv[1]}.\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
