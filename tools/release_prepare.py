"""`make release-prepare VERSION=1.2.3`: sets the version, and dates what the changelog has under Unreleased.

The first time it also takes out of the pages what is true only until there is a release.
"""

from __future__ import annotations

import datetime
import re
import sys
from typing import TYPE_CHECKING

from release_check import BEFORE_THE_FIRST, ROOT, UNRELEASED, VERSION, VERSIONED, malformed

if TYPE_CHECKING:
    from pathlib import Path


def prepare(version: str, today: datetime.date, root: Path = ROOT) -> None:
    """Edit the files. Raises ValueError, having changed nothing, for a version that is none or has been dated."""
    if wrong := malformed(version):
        raise ValueError(*wrong)
    path = root / "CHANGELOG.md"
    changelog = path.read_text(encoding="utf-8")
    if f"## [{version}]" in changelog:
        raise ValueError(f"CHANGELOG.md has {version} already. Give the next version.")
    entries = UNRELEASED.search(changelog)
    if not entries or not entries[1].strip():
        raise ValueError("CHANGELOG.md has nothing under Unreleased. There is nothing to release.")
    dated = f"## [Unreleased]\n\n## [{version}] - {today.isoformat()}\n"
    path.write_text(changelog.replace("## [Unreleased]\n", dated, 1), encoding="utf-8")
    for name in VERSIONED:
        text = (root / name).read_text(encoding="utf-8")
        (root / name).write_text(VERSION.sub(rf'\g<1>{version}"', text, count=1), encoding="utf-8")
    for name, pieces in BEFORE_THE_FIRST.items():
        text = (root / name).read_text(encoding="utf-8")
        for before, after in pieces:
            text = re.sub(before, after, text, flags=re.MULTILINE | re.DOTALL)
        (root / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Do it; return the exit status."""
    if len(sys.argv) != 2:
        sys.stderr.write("Give the version: make release-prepare VERSION=0.1.0\n")
        return 2
    try:
        prepare(sys.argv[1], datetime.datetime.now(datetime.timezone.utc).date())
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Commit this, run make release-check VERSION={sys.argv[1]}, and tag v{sys.argv[1]}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
