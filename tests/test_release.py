"""From a tag to what is published, as far as it can be done without publishing: versions, changelog, wheels, source."""

from __future__ import annotations

import datetime
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, checked

import django_lockstep

sys.path.insert(0, str(ROOT / "tools"))

import dist_check
import release_check
import release_prepare

if TYPE_CHECKING:
    from pathlib import Path

TODAY = datetime.date(2026, 12, 24)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that a release edits."""
    for name in ("Cargo.toml", "Cargo.lock", "CHANGELOG.md", *release_check.BEFORE_THE_FIRST):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def pages(tree: Path) -> str:
    return "\n".join((tree / name).read_text(encoding="utf-8") for name in release_check.BEFORE_THE_FIRST)


def test_once_there_is_a_release_the_pages_install_it(tree: Path) -> None:
    if not re.search("first release", pages(tree)):
        pytest.skip("there has been a release")
    before = pages(tree).splitlines()
    release_prepare.prepare("7.8.9", TODAY, tree)
    said = pages(tree)
    assert len(before) - 15 < len(said.splitlines()) < len(before) - 5, (
        "more than that section of install.md has gone"
    )
    assert not re.search("first release|from a clone|path/to|make build", said, re.IGNORECASE), said
    assert said.count("\npip install django-lockstep\n") == 2
    assert "In a fresh virtual environment:\n" in said
    assert "\n\n## Versions\n" in said


def test_pages_from_before_the_first_release_are_complained_of(tree: Path) -> None:
    page = tree / "docs" / "start" / "install.md"
    page.write_text("# Install\n\n## Until the first release\n\nWait.\n\n## Versions\n", encoding="utf-8")
    complaint = "install.md speaks of a time before any release"
    assert any(complaint in each for each in release_check.complaints("7.8.9", tree))
    page.write_text("# Install\n\n## Versions\n", encoding="utf-8")
    assert not any(complaint in each for each in release_check.complaints("7.8.9", tree))


def test_a_version_is_prepared_and_then_nothing_is_amiss(tree: Path) -> None:
    changelog = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    told = release_check.UNRELEASED.search(changelog)
    assert told
    if not told[1].strip():
        pytest.skip("nothing is unreleased: this very commit is a release")
    assert release_check.complaints("7.8.9", tree)
    release_prepare.prepare("7.8.9", TODAY, tree)
    assert release_check.complaints("7.8.9", tree) == []
    changelog = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [Unreleased]\n\n## [7.8.9] - 2026-12-24\n{told[1]}" in changelog
    checked(
        "cargo",
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--offline",
        "--manifest-path",
        with_source(tree),
        cwd=tree,
    )


def with_source(tree: Path) -> Path:
    """Cargo wants the library to be there."""
    (tree / "src").mkdir()
    (tree / "src" / "lib.rs").touch()
    return tree / "Cargo.toml"


@pytest.mark.parametrize("version", ["", "1", "0.1", "v0.1.0", "0.1.0-dev", "0.1.0rc1", "0.1.0 "])
def test_what_is_no_version_is_refused_and_nothing_changed(tree: Path, version: str) -> None:
    before = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="is no version"):
        release_prepare.prepare(version, TODAY, tree)
    assert any("is no version" in each for each in release_check.complaints(version, tree))
    assert (tree / "CHANGELOG.md").read_text(encoding="utf-8") == before


def test_a_version_is_not_released_twice(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n- A\n\n## [0.1.0] - 2026-01-01\n\n- B\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"has 0\.1\.0 already"):
        release_prepare.prepare("0.1.0", TODAY, tree)
    (tree / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n- B\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match="nothing to release"):
        release_prepare.prepare("0.2.0", TODAY, tree)


def test_the_module_has_the_version_that_pip_sees() -> None:
    assert django_lockstep.__version__ == metadata.version("django-lockstep")


def test_the_wheel_and_the_source_are_what_they_say(tmp_path: Path) -> None:
    wheel = built_wheel()
    assert dist_check.of_wheel(wheel) == []
    sdist = source(tmp_path)
    assert dist_check.of_sdist(sdist, dist_check.tracked_files()) == [
        f"{sdist.name} holds {name}, which no build needs." for name in untracked()
    ]


def source(folder: Path) -> Path:
    checked(sys.executable, "-m", "maturin", "sdist", "--out", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def untracked() -> list[str]:
    """In a work tree there may be new files that are yet to be added."""
    command = ["git", "ls-files", "--others", "--exclude-standard", "src", "python"]
    return sorted(subprocess.check_output(command, cwd=ROOT, text=True).splitlines())


def test_what_does_not_belong_is_found(tmp_path: Path) -> None:
    wheel = tmp_path / "django_lockstep-1.0-cp310-abi3-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as written:
        for name in (
            "django_lockstep/_core.cpython-311-x86_64-linux-gnu.so",
            "django_lockstep/tests/a.py",
            "bin/tool",
        ):
            written.writestr(name, "")
    found = "\n".join(dist_check.of_wheel(wheel))
    assert "where there must be one, for cp310-abi3" in found
    assert "holds django_lockstep/tests/a.py" in found
    assert "where there must be the package and its metadata" in found
    sdist = tmp_path / "django_lockstep-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as opened:
        for name in ("PKG-INFO", "src/lib.rs", "secret.env"):
            opened.addfile(tarfile.TarInfo(f"django_lockstep-1.0/{name}"), io.BytesIO())
    assert dist_check.of_sdist(sdist, {"src/lib.rs", "LICENSE", "tests/x.py"}) == [
        f"{sdist.name} holds secret.env, which no build needs.",
        f"{sdist.name} lacks LICENSE.",
    ]


def test_a_wheel_that_is_less_portable_than_its_name_is_found(tmp_path: Path) -> None:
    """`make` links against this machine's own glibc, and its name says which."""
    built = built_wheel()
    wheel = tmp_path / re.sub(r"-[^-]+$", "-manylinux_2_5_x86_64.whl", built.name)
    shutil.copy(built, wheel)
    assert any("auditwheel does not agree" in each for each in dist_check.of_wheel(wheel))
