"""Every command and snippet of docs/specs.md and docs/catalogue.md, run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import Shop, shop_on

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("specs.md", "catalogue.md")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def commands() -> Iterator[list[str]]:
    """Return the arguments of each command, but for the whole matrix, which takes a minute."""
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).splitlines():
            program, manage, command, *arguments = shlex.split(line, comments=True)
            assert (program, manage, command) == ("python", "manage.py", "deadlock_test")
            if arguments != ["--matrix"]:
                yield arguments


@pytest.fixture(scope="module")
def shop(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_on(server_dsn, tmp_path_factory.mktemp("shop")) as shop:
        (shop.folder / "bank.spec").write_text(blocks("specs.md", "text")[0])
        yield shop


@pytest.mark.parametrize("arguments", list(commands()), ids=" ".join)
def test_a_command_of_the_documentation_runs(shop: Shop, arguments: list[str]) -> None:
    arguments = ["bank.spec" if argument == "*.spec" else argument for argument in arguments]
    if "--spec" in arguments:
        arguments.append("--yes-run-sql")
    done = shop.deadlock_test(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_snippet_of_the_documentation_runs(shop: Shop, page: str) -> None:
    for snippet in blocks(page, "python"):
        text = re.sub(r'"dbname=\w+"', repr(shop.dsn), snippet)
        assert text != snippet
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=shop.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        for promised in re.findall(r"^print\(.*?\) +# (\(.*?\))(?::.*)?$", snippet, re.MULTILINE):
            assert promised in done.stdout
