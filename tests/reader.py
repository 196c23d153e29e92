"""Somebody who does what a page says, word by word, in its order, in a shell and a Python of theirs.

How a page is read:

- ``sh``: each line is typed into one shell that stays open; it must end well, or as ``# exit status 3`` after it says.
- ``text`` with permutations in it: a ``.spec`` file, which must be one. Other ``text``: what came out last, but for
  the numbers; a line with nothing but ``…`` stands for any lines.
- ``python`` (``ini``, ``toml``, ``yaml``, ``html``, ``spec``) with a first line ``# folder/name.py``: that file,
  or, with ``(continued)`` after it, more of it. What is added to ``settings.py`` with a ``# …`` in a list extends it.
- ``yaml`` of a workflow: actionlint must find nothing wrong with it.
- ``python`` with tests in it: they are run, and must pass. Any other: run in one Python that stays open.
- ``json`` without a name: must be well-formed. ``sql``: is run on the page's database.
- ``postgresql://me@localhost/shop`` is the page's database, ``postgresql://me@localhost:6432/shop`` the same through a
  PgBouncer in transaction mode, ``postgresql://guest:secret@localhost/shop`` the same as another role.
- ``pip install django-lockstep`` installs the wheel just built, which is what ``make build`` makes.
- A page that imports from ``bank`` without writing it has the example project's.

A comment before a block says what readers need not see: ``<!-- skip: why -->`` that it is not followed, ``<!-- sh`` to
``-->`` (or ``python``) what is done besides.
"""

from __future__ import annotations

import json
import re
import secrets
import selectors
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from fresh import ROOT, checked, clean_environment
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACEHOLDER = "postgresql://me@localhost/shop"
POOLED = "postgresql://me@localhost:6432/shop"
AS_ANOTHER = re.compile(r"postgresql://(?P<user>\w+):(?P<password>\w+)@localhost/shop")
PATIENCE = 180.0
"""Seconds for one command; a loaded machine's, not a healthy one's."""

FENCED = re.compile(
    r"^(?:<!-- skip: (?P<skip>[^\n]+?) -->\n+)?(?P<ticks>`{3,})(?P<language>[^`\n]*)\n(?P<text>.*?)^(?P=ticks)$"
    r"|^<!-- (?P<unseen>sh|python)\n(?P<code>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
NAMED = re.compile(r"(?:#|//|--|<!--) (?P<name>[\w./-]+\.\w+)(?P<more> \(continued\))?(?: -->)?")


OURS = re.compile(r'"?(?:path/to/)?django-lockstep(?:/dist/\*\.whl)?(\[\w+\])?"?')


@dataclass
class Block:
    """A fenced block, or one that readers do not see."""

    language: str
    text: str
    line: int
    skip: str | None = None


def blocks_of(page: str) -> list[Block]:
    """Return a page's blocks; directives such as ``{terminal}`` are the site's to run."""
    found = []
    for match in FENCED.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        language = (match["unseen"] or match["language"]).strip()
        if not language.startswith("{"):
            found.append(Block(language, match["code"] or match["text"] or "", line, match["skip"]))
    return found


def shape(text: str) -> str:
    """Return what is the same in every run: all but the numbers and how wide they are."""
    return re.sub(r"[ \n]+", " ", re.sub(r"\d+(\.\d+)?", "N", text)).strip()


@contextmanager
def database_of_its_own(server: str) -> Iterator[str]:
    """Make a database and drop it; yield its DSN."""
    name = f"docs_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_conninfo(server, dbname=name)
        finally:
            for each in (name, f"test_{name}"):
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(each))
                )


class Talk:
    """A program that reads what we write to it, and says when it is through with it."""

    def __init__(self, *command: str | Path, cwd: Path, environment: dict[str, str]) -> None:
        self.mark = secrets.token_hex(8)
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def say(self, text: str) -> tuple[str, int]:
        """Send it; return what came back until the mark, and the number after it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        heard = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (end := re.search(rf"{self.mark} (\d+)\n".encode(), heard)):
                assert selector.select(PATIENCE), f"said nothing more: {heard.decode()}"
                data = self.process.stdout.read1(65536)  # type: ignore[attr-defined]
                assert data, f"ended: {heard.decode()}"
                heard += data
        return heard[: end.start()].decode(), int(end[1])

    def end(self) -> None:
        """Close its input, and wait for it."""
        with self.process as process:
            assert process.stdin is not None
            process.stdin.close()
            assert process.stdout is not None
            process.stdout.read()


PYTHON = """
import json, os, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    code, mark = json.loads(line)
    try:
        if "DJANGO_SETTINGS_MODULE" in os.environ and "setup" not in names:
            names["setup"] = __import__("django").setup()
        exec(compile(code, "page", "exec"), names)
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        status = 1
    print(mark, status, flush=True)
"""


class Reader:
    """One page's reader. ``programs`` is the environment's; without a project they begin in an empty folder."""

    def __init__(
        self,
        folder: Path,
        programs: Path,
        wheel: Path,
        dsn: str,
        *,
        project: bool,
        app: bool = False,
        bank: bool = False,
        pooled: str = "",
    ) -> None:
        self.programs, self.wheel = programs, wheel
        self.dsn, self.pooled = dsn, pooled
        self.environment = clean_environment(
            PATH=f"{programs}:/usr/bin:/bin",
            PIP_ROOT_USER_ACTION="ignore",
            PYTHONUNBUFFERED="1",
            COLUMNS="100",
        )
        self.site = folder
        if project:
            checked(programs / "django-admin", "startproject", "mysite", cwd=folder)
            self.site = folder / "mysite"
            self.environment["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
            self._add("mysite/settings.py", f"\nDATABASES = {{'default': {settings_of(dsn)!r}}}\n")
            if app:
                self._add("mysite/settings.py", 'INSTALLED_APPS += ["django_lockstep"]\n')
            if bank:
                unwanted = shutil.ignore_patterns("tests.py", "__pycache__")
                shutil.copytree(ROOT / "example_project" / "bank", self.site / "bank", ignore=unwanted)
                self._add("mysite/settings.py", 'INSTALLED_APPS += ["bank"]\n')
        self.output = ""
        self.files: set[str] = set()
        # It reads no further than a line, so that a shell which is started in it gets the rest.
        self.shell = Talk("/bin/bash", "--norc", cwd=self.site, environment=self.environment)
        self.python: Talk | None = None

    def end(self) -> None:
        """Leave the shell and the Python."""
        self.shell.end()
        if self.python:
            self.python.end()

    def follow(self, block: Block) -> str:
        """Do what the block says; return how, for the record."""
        if block.skip:
            return "skipped"
        text = block.text
        if block.language != "sh":
            text = self._with_servers(text, str)
        first = text.partition("\n")[0]
        if block.language == "text" and re.search(r"^permutation ", text, re.MULTILINE):
            return self._python(f"from django_lockstep import load_spec\nload_spec({text!r})")
        if block.language == "text":
            return self._compare(text)
        if block.language == "sh":
            for line in re.sub(r"\\\n\s*", " ", text).splitlines():
                self._type(line)
            return "typed"
        if (named := NAMED.fullmatch(first)) and block.language not in {"text", "sh"}:
            return self._write(named["name"], text, more=bool(named["more"]))
        if block.language == "python":
            return self._python(text)
        if block.language == "sql":
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                connection.execute(text.encode())
            return "run"
        assert block.language == "json", f"line {block.line}: what is to be done with {block.language!r}?"
        json.loads(text)
        return "parsed"

    def _with_servers(self, text: str, quoted: Callable[[str], str]) -> str:
        """Put the page's servers in the place of those that it names."""
        text = text.replace(PLACEHOLDER, quoted(self.dsn)).replace(POOLED, quoted(self.pooled))
        return AS_ANOTHER.sub(lambda match: quoted(make_conninfo(self.dsn, **match.groupdict())), text)

    def _compare(self, text: str) -> str:
        said, at = shape(self.output), 0
        pieces = [shape(piece) for piece in re.split(r"^\s*…\s*$", text, flags=re.MULTILINE)]
        if len(pieces) == 1:
            assert said == pieces[0], f"{said}\n--- is not ---\n{pieces[0]}"
        for piece in pieces:
            found = said.find(piece, at)
            assert found >= 0, f"{piece}\n--- is not in ---\n{said}"
            at = found + len(piece)
        return "compared"

    def _type(self, line: str) -> None:
        command, _, comment = line.partition("  #")
        command = command.strip()
        if not command or command.startswith("#"):
            return
        if command == "make build":  # has been done: the wheel
            return
        if command.startswith("make "):  # in a clone, which has what a build needs
            self.output = checked("sh", "-c", command, cwd=ROOT).partition("deadlock_test\n")[2]
            return
        command = self._with_servers(re.sub(r'"(postgresql://\S+)"', r"\1", command), shlex.quote)
        if command.startswith(("pip install ", "python -m pip install ")):
            command = re.sub(OURS, rf'"{self.wheel}\1"', command) + " --quiet --disable-pip-version-check"
        nested = re.search(r"\b(sh|bash)$", command)  # reads what we type from now on
        self.output, status = self.shell.say(
            f"{command}{'' if nested else ' </dev/null'}\nprintf '%s %s\\n' {self.shell.mark} $?\n"
        )
        wanted = re.search(r"exit status (\d+)", comment)
        assert status == int(wanted[1] if wanted else 0), f"{command}: exit status {status}\n{self.output}"
        if command.startswith("cd "):
            self.site /= command.removeprefix("cd ")

    def _write(self, name: str, text: str, *, more: bool) -> str:
        if name.endswith("settings.py"):
            text, more = re.sub(r"^(\w+) = \[\n\s+# …$", r"\1 += [", text, flags=re.MULTILINE), True
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._add(name, text) if more else path.write_text(text, encoding="utf-8")
        if name.startswith(".github/workflows/"):
            checked(Path(sys.executable).with_name("actionlint"), path, cwd=self.site)
        self.files.add(name)
        return "written"

    def _add(self, name: str, text: str) -> None:
        with (self.site / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")

    def _python(self, text: str) -> str:
        if "INSTALLED_APPS" in text:
            return self._write("mysite/settings.py", text, more=True)
        if re.search(r"^class \w+\(.*TestCase\):$", text, re.MULTILINE):
            name = f"test_page_{len(self.files)}"
            self._write(f"mysite/{name}.py", text, more=False)
            self._type(f"python manage.py test mysite --pattern '{name}.py'")
            assert f"Found {len(re.findall('^    def test_', text, re.MULTILINE))} test" in self.output, (
                self.output
            )
            assert "OK" in self.output, self.output
            return "tested"
        if re.search(r"^ *def test_", text, re.MULTILINE):
            name = f"test_page_{len(self.files)}.py"
            self._write(name, text, more=False)
            self._type(f"python -m pytest -q --ds=mysite.settings {name}")
            return "tested"
        if self.python is None:
            self.python = Talk(
                self.programs / "python", "-c", PYTHON, cwd=self.site, environment=self.environment
            )
        self.output, status = self.python.say(json.dumps([text, self.python.mark]) + "\n")
        assert status == 0, self.output
        return "run"


def settings_of(dsn: str) -> dict[str, str]:
    """Return Django's settings for a DSN."""
    parts = conninfo_to_dict(dsn)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    database = {setting: str(parts[name]) for setting, name in names.items() if parts.get(name)}
    return {"ENGINE": "django.db.backends.postgresql", **database}
