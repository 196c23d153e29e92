"""The README is true: every block in it is executed, and every output in it is what comes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fresh import ROOT, built_wheel, checked, environment_with
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass
class Block:
    """A fenced block."""

    language: str
    text: str


def blocks() -> list[Block]:
    return [Block(*match) for match in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


def commands(block: Block) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.text.splitlines()]


def shape(text: str) -> str:
    """What is the same in every run: all but the numbers and how wide they are."""
    return re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "N", text)).strip()


class Reader:
    """Somebody who does what the README says, in its order, in a new project on a server of theirs."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        self.wheel = built_wheel(folder)
        self.programs = environment_with(folder / "venv", "Django", "psycopg[binary]", "pytest-django")
        self.site = folder / "mysite"
        self.output = ""
        self.shell("django-admin startproject mysite", folder)
        parts = conninfo_to_dict(server)
        names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
        database = {setting: str(parts[name]) for setting, name in names.items() if parts.get(name)}
        database["ENGINE"] = "django.db.backends.postgresql"
        self.add("mysite/settings.py", f"\nDATABASES = {{'default': {database!r}}}\n")

    def add(self, name: str, text: str) -> None:
        with (self.site / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def shell(self, command: str, cwd: Path) -> None:
        path = f"{self.programs}:/usr/local/bin:/usr/bin:/bin"
        self.output = checked("sh", "-c", command, cwd=cwd, PATH=path, PIP_ROOT_USER_ACTION="ignore")

    def follow(self, block: Block) -> str:
        """Do what the block says; return how, for the record."""
        if block.language == "text":
            assert shape(self.output) == shape(block.text)
            return "compared"
        if block.language == "sh":
            for command in commands(block):
                self.type(command)
            return "typed"
        assert block.language == "python", block.language
        if "INSTALLED_APPS" in block.text:
            self.add("mysite/settings.py", block.text.replace("INSTALLED_APPS =", "INSTALLED_APPS +="))
            return "configured"
        if "class DeadlockTests(TestCase)" in block.text:
            self.add("mysite/tests.py", block.text)
            self.shell("python manage.py test mysite 2>&1", self.site)
            assert "Ran 1 test" in self.output
            return "tested"
        if "import pytest" in block.text:
            self.add("test_deadlock.py", block.text)
            self.shell("pytest --ds=mysite.settings test_deadlock.py", self.site)
            assert "1 passed" in self.output
            return "tested"
        assert block.text.count('"postgresql://me@localhost/shop"') == 1
        self.add("script.py", block.text.replace('"postgresql://me@localhost/shop"', repr(self.server)))
        self.shell("python script.py", self.site)
        return "run"

    def type(self, command: str) -> None:
        if command.startswith("make "):
            self.output = checked("sh", "-c", command, cwd=ROOT).partition("deadlock_test\n")[2]
        elif command.startswith("pip install "):
            self.shell(command.replace("path/to/django-lockstep", str(self.wheel)), self.site)
        else:
            assert command.startswith("python manage.py deadlock_test"), command
            self.shell(command, self.site)
            assert "DEADLOCK" in self.output or "deadlocks in" in self.output


@pytest.fixture
def reader(tmp_path: Path, server_dsn: str) -> Reader:
    return Reader(tmp_path, server_dsn)


def test_every_block_works_in_its_order(reader: Reader) -> None:
    done = [reader.follow(block) for block in blocks()]
    assert (reader.site / "report.json").exists()
    assert set(done) == {"typed", "compared", "configured", "run", "tested"}


def test_every_fence_is_a_block_that_is_followed() -> None:
    assert README.count("```") == 2 * len(blocks())


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_option_is_there() -> None:
    source = (ROOT / "python" / "django_lockstep" / "management" / "arguments.py").read_text(encoding="utf-8")
    declared = set(re.findall(r'"(--[a-z-]+)"', source)) - {"--noinput", "--skip-checks"}
    assert declared == set(
        re.findall(r"--[a-z][a-z-]+", README.split("| option |")[1].split("Exit status")[0])
    )
