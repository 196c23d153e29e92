"""`dist_check.py DIST`: whether what will be published is what it says it is. Says everything that is not.

A wheel: its tags are what its library loads under (auditwheel has the last word), and it holds the package and nothing
else. The source distribution: what a build needs, from the files under version control, and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
BUILT_FROM = re.compile(r"src/.*|python/.*|Cargo\.(toml|lock)|pyproject\.toml|README\.md|LICENSE")
"""What the source distribution holds of the repository."""
PORTABLE = re.compile(r"-(manylinux|musllinux)\w+\.whl$")
NEVER = re.compile(
    r"(^|/)(tests?|__pycache__|\.git\w*)(/|$)|(^|/)(test_\w+|conftest)\.py$|\.(rs|pyc|orig|rej)$"
)
"""What no wheel holds."""


def of_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, a sentence each."""
    found = []
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    name, version, python, abi, _ = wheel.stem.split("-")
    suffix = (
        r"\.abi3\.so|\.pyd"
        if abi == "abi3"
        else rf"\.cpython-{abi.removeprefix('cp')}-[\w-]+\.so|\.{abi}-\w+\.pyd"
    )
    natives = [each for each in names if re.search(r"\.(so|pyd|dylib)(\.|$)", each)]
    if len(natives) != 1 or not re.fullmatch(rf"django_lockstep/_core({suffix})", natives[0]):
        found.append(
            f"{wheel.name} has the libraries {natives}, where there must be one, for {python}-{abi}."
        )
    found += [f"{wheel.name} holds {each}." for each in names if NEVER.search(each)]
    tops = {each.partition("/")[0] for each in names}
    if tops != {name, f"{name}-{version}.dist-info"}:
        found.append(f"{wheel.name} holds {sorted(tops)}, where there must be the package and its metadata.")
    if PORTABLE.search(wheel.name):
        command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        platforms = wheel.stem.rpartition("-")[2].split(".")
        consistent = re.search(r'following\s+platform\s+tag:\s+"([^"]+)"', told.stdout)
        if not consistent or consistent[1] not in platforms:
            found.append(f"auditwheel does not agree with {wheel.name}:\n{told.stdout}{told.stderr}")
    return found


def of_sdist(sdist: Path, tracked: set[str]) -> list[str]:
    """Return what is wrong with a source distribution, a sentence each."""
    with tarfile.open(sdist) as opened:
        held = {str(PurePosixPath(*PurePosixPath(each.name).parts[1:])) for each in opened if each.isfile()}
    wanted = {name for name in tracked if BUILT_FROM.fullmatch(name)} | {"PKG-INFO"}
    found = [f"{sdist.name} holds {name}, which no build needs." for name in sorted(held - wanted)]
    return found + [f"{sdist.name} lacks {name}." for name in sorted(wanted - held)]


def tracked_files() -> set[str]:
    """Return the names of the files under version control."""
    return set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())


def main() -> int:
    """Look at everything in the folder; write the complaints; return how many there are, at most 1."""
    folder = Path(sys.argv[1])
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    found = [] if wheels and sdists else [f"{folder} lacks wheels or the source distribution."]
    for wheel in wheels:
        found += of_wheel(wheel)
    for sdist in sdists:
        found += of_sdist(sdist, tracked_files())
    for complaint in found:
        sys.stderr.write(f"{complaint}\n")
    if not found:
        sys.stdout.write(
            "".join(f"good: {each.name} ({each.stat().st_size:,} bytes)\n" for each in wheels + sdists)
        )
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
