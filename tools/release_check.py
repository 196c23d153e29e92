"""`make release-check VERSION=1.2.3`: what must be true before that version is tagged. Says everything that is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def complaints(version: str) -> list[str]:
    """Return what is not ready, a sentence each."""
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?", version):
        found.append(f"{version!r} is no version. Give one such as 0.1.0 or 0.1.0-rc.1.")
    for name in ("Cargo.toml", "Cargo.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        match = re.search(r'name = "django-lockstep"\nversion = "([^"]+)"', text)
        has = match[1] if match else None
        if has != version:
            found.append(f"{name} says {has}, not {version}. Set it, and run cargo check for Cargo.lock.")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(
            f"CHANGELOG.md has no heading `## [{version}] - YYYY-MM-DD`. Date what is under Unreleased."
        )
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if unreleased and unreleased[1].strip():
        found.append(
            "CHANGELOG.md still has entries under Unreleased. Move them below the version's heading."
        )
    return found


def main() -> int:
    """Write the complaints; return how many there are, at most 1."""
    if len(sys.argv) != 2:
        sys.stderr.write("Give the version: make release-check VERSION=0.1.0\n")
        return 2
    found = complaints(sys.argv[1])
    for complaint in found:
        sys.stderr.write(f"{complaint}\n")
    if not found:
        sys.stdout.write(f"Ready to be tagged v{sys.argv[1]}.\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
