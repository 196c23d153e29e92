"""Connection strings against libpq itself, through psycopg: the same keywords, the same parts, the same precedence."""

from __future__ import annotations

import os
import string
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from keyword_table import DOCUMENT, documented, rendered

from django_lockstep._core import DRIVER_KEYWORDS, LIBPQ_KEYWORDS, dsn_from_params, dsn_parts, dsn_resolved
from django_lockstep.exceptions import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DEFAULTS = psycopg.pq.Conninfo.get_defaults()
LIBPQ = [option.keyword.decode() for option in DEFAULTS]
OURS = [row[0] for row in LIBPQ_KEYWORDS]


def test_no_keyword_of_the_installed_libpq_is_forgotten() -> None:
    assert LIBPQ, "libpq lists its keywords"
    assert set(LIBPQ) <= set(OURS), "give it a row in src/connection/conninfo/keywords.rs"
    assert not set(OURS) & {name for name, _, _ in DRIVER_KEYWORDS}


@pytest.mark.usefixtures("no_settings")
def test_every_keyword_has_libpqs_variable_and_default() -> None:
    variables = {row[0]: row[1] for row in LIBPQ_KEYWORDS}
    resolved = dsn_resolved("user=u dbname=d")
    for option in psycopg.pq.Conninfo.get_defaults():
        keyword = option.keyword.decode()
        variable = option.envvar.decode() if option.envvar else ""
        assert variables[keyword] == variable, keyword
        # Two defaults are how libpq was built: whether with GSSAPI, and where its sockets are.
        if option.compiled and keyword not in ("gssencmode", "host"):
            assert resolved[keyword] == option.compiled.decode(), keyword


def test_the_documents_table_is_the_programs() -> None:
    assert documented() == rendered(), f"run: python tests/keyword_table.py  # rewrites {DOCUMENT.name}"
    for keyword in OURS:
        assert f"| `{keyword}` |" in documented()


SPECIAL = [*" \t\n\\'=/@:,?&%[]#+;", "%20", "%41", "%zz", "%0", "%00", "é", "\\'", "''", "//", "://"]
TEXT = st.lists(st.sampled_from([*SPECIAL, *string.ascii_lowercase[:6], "1", "5432"]), max_size=6).map(
    "".join
)
KEYWORD = st.one_of(
    st.sampled_from(LIBPQ),  # not ours: this libpq may be older than our table
    st.sampled_from(
        ["host", "port", "password", "requiressl", "ssl", "tty", "authtype", "HOST", "nonsense", ""]
    ),
)
VALUE = st.one_of(
    TEXT,
    st.text(max_size=4).map(lambda text: text.replace("\0", "")),
    st.sampled_from(["true", "1", "0", "require", "a,b", "[::1]", "/tmp", "two words"]),
)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


PAIR = st.builds(
    "{}{}={}{}".format,
    KEYWORD,
    st.sampled_from(["", " "]),
    st.sampled_from(["", " "]),
    st.one_of(VALUE, VALUE.map(quoted)),
)
KEYWORD_VALUE = st.builds(
    lambda pairs, between, end: between.join(pairs) + end,
    st.lists(PAIR, max_size=4),
    st.sampled_from([" ", "  ", "\n", ""]),
    st.sampled_from(["", " ", "'", "\\", " x"]),
)
PART = st.one_of(VALUE, VALUE.map(lambda text: quote(text, safe="")))
HOST = st.one_of(
    PART, st.sampled_from(["", "localhost", "[::1]", "[", "[]", "[::1]x", "[a]:1", "::1", "%2Ftmp"])
)
HOSTS = st.lists(
    st.builds("{}{}".format, HOST, st.one_of(st.just(""), PART.map(lambda port: f":{port}"))), max_size=3
).map(",".join)
CREDENTIALS = st.one_of(st.just(""), st.builds("{}@".format, PART), st.builds("{}:{}@".format, PART, PART))
QUERY = st.one_of(
    st.just(""),
    st.lists(
        st.one_of(
            st.builds("{}={}".format, KEYWORD, PART), st.sampled_from(["ssl=true", "a", "=", "a=b=c", ""])
        ),
        max_size=3,
    ).map(lambda pairs: "?" + "&".join(pairs)),
)
URI = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["postgresql://", "postgres://", "postgresql:/", "POSTGRES://"]),
    CREDENTIALS,
    HOSTS,
    st.one_of(st.just(""), PART.map(lambda dbname: f"/{dbname}")),
    QUERY,
)
ANY = st.one_of(
    TEXT, st.builds("{}{}".format, st.sampled_from(["postgresql://", "postgres://", "host="]), TEXT)
)


def theirs(dsn: str) -> dict[str, str] | None:
    """What libpq makes of it; None if it refuses it."""
    try:
        options = psycopg.pq.Conninfo.parse(dsn.encode())
    except psycopg.OperationalError:
        return None
    values = {option.keyword: option.val for option in options if option.val is not None}
    try:
        return {keyword.decode(): value.decode() for keyword, value in values.items()}
    except UnicodeDecodeError:
        return None  # we speak UTF-8 only, and say so


def ours(dsn: str) -> dict[str, str] | None:
    try:
        return dsn_parts(dsn)
    except ConnectionFailed:
        return None


def test_every_string_is_read_as_libpq_reads_it() -> None:
    read: set[str] = set()
    refused: set[str] = set()

    @settings(max_examples=3000, deadline=None)
    @given(st.one_of(KEYWORD_VALUE, URI, ANY))
    @example("postgresql://a:b@c:d@e/f")
    @example("postgresql://[::1]:5433,/db?host=x")
    @example("postgresql://u:%C3%28@h/")
    @example("host = 'a\\'b' port=\\5")
    @example("requiressl=1")
    @example("postgresql://h?requiressl=0")
    def check(dsn: str) -> None:
        mine = ours(dsn)
        assert mine == theirs(dsn)
        (refused if mine is None else read).add(dsn)

    check()
    assert len(read) > 300, "the strings are not all nonsense"
    assert len(refused) > 300, "nor all good"


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(LIBPQ), VALUE, max_size=5))
def test_what_django_passes_to_its_driver_is_read_back(params: Mapping[str, str]) -> None:
    dsn = dsn_from_params(params)
    assert ours(dsn) == theirs(dsn) == params


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of libpq's but those of the test."""
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


NAME = st.text(string.ascii_letters + string.digits + "-_. ", min_size=1, max_size=6)
WORDS: dict[str, st.SearchStrategy[str]] = {
    "user": NAME,
    "dbname": NAME,
    "port": st.sampled_from(["1", "5432", "65535"]),
    "application_name": NAME,
    "fallback_application_name": NAME,
    "options": st.sampled_from(["-c geqo=off", "-c search_path=a\\ b"]),
    "sslmode": st.sampled_from(["disable", "allow", "prefer", "require"]),
    "connect_timeout": st.sampled_from(["0", "3", "-1"]),
    "keepalives": st.sampled_from(["0", "1"]),
    "keepalives_idle": st.sampled_from(["0", "9"]),
    "target_session_attrs": st.sampled_from(["any", "primary"]),
    "load_balance_hosts": st.sampled_from(["disable", "random"]),
    "channel_binding": st.sampled_from(["disable", "prefer"]),
    "sslrootcert": NAME,
    "sslnegotiation": st.just("postgres"),
    "passfile": st.just("/nowhere"),
    "client_encoding": st.just("UTF8"),
    "gssencmode": st.just("disable"),
}
SETTINGS = st.fixed_dictionaries({}, optional=WORDS)
VARIABLE = {row[0]: row[1] for row in LIBPQ_KEYWORDS}


@pytest.mark.usefixtures("no_settings")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given_words=SETTINGS,
    service=SETTINGS,
    environment=SETTINGS,
    name_it=st.sampled_from(["", "service", "PGSERVICE"]),
)
def test_precedence_is_libpqs(
    given_words: dict[str, str],
    service: dict[str, str],
    environment: dict[str, str],
    name_it: str,
    tmp_path: Path,
) -> None:
    """What was given, then the service, then the environment, then the defaults."""
    file = tmp_path / ".pg_service.conf"
    file.write_text(
        "[suite]\n" + "".join(f"{keyword}={value.strip()}\n" for keyword, value in service.items())
    )
    seen = {VARIABLE[keyword]: value for keyword, value in environment.items() if VARIABLE[keyword]}
    # A socket in no folder: libpq resolves everything before it tries to connect.
    words = {"host": str(tmp_path / "nobody"), **given_words}
    if name_it == "service":
        words["service"] = "suite"
    elif name_it:
        seen[name_it] = "suite"
    dsn = " ".join(f"{keyword}={quoted(value)}" for keyword, value in words.items())
    with variables(seen):
        connection = psycopg.pq.PGconn.connect_start(dsn.encode())
        info = {
            option.keyword.decode(): option.val.decode()
            for option in connection.info
            if option.val is not None
        }
        connection.finish()
        resolved = dsn_resolved(dsn)
    silent = {"password", "gssencmode", "sslcertmode", "passfile", "service", "servicefile"}
    assert {k: v for k, v in resolved.items() if k not in silent} == {
        k: v for k, v in info.items() if k not in silent
    }
