"""The README is true: every block in it is executed, and every output in it is what comes out (see reader.py)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, environment_with
from reader import Reader, blocks_of, database_of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def reader(tmp_path: Path, server_dsn: str) -> Iterator[Reader]:
    programs = environment_with(tmp_path / "venv", "Django", "psycopg[binary]", "pytest-django")
    with database_of_its_own(server_dsn) as dsn:
        reader = Reader(tmp_path, programs, built_wheel(), dsn, project=True)
        yield reader
        reader.end()


def test_every_block_works_in_its_order(reader: Reader) -> None:
    done = [reader.follow(block) for block in blocks_of(README)]
    assert (reader.site / "report.html").exists()
    assert set(done) == {"typed", "compared", "written", "run", "tested"}


def test_every_fence_is_a_block_that_is_followed() -> None:
    assert README.count("```") == 2 * len(blocks_of(README))


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *map(str, Path("docs").rglob("*.md"))])
def test_what_is_to_be_made_can_be_made(page: str) -> None:
    named = re.findall(
        r"(?:^|`)make ((?:[a-z]+[a-z-]*(?: |$|`))+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE
    )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {target for line in named for target in re.findall(r"[a-z-]+", line)} <= targets


def test_it_is_one_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 90


def test_the_picture_is_the_product_s_and_needs_nothing_else() -> None:
    picture = (ROOT / "docs" / "static" / "deadlock.svg").read_text(encoding="utf-8")
    assert "DEADLOCK" in picture
    assert set(re.findall(r"https?://[^\s\"]+", picture)) == {"http://www.w3.org/2000/svg"}
