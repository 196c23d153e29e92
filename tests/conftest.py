"""One real PostgreSQL for the whole suite, and the check that it and this process are left as they were.

The server is a throw-away one, or yours: LOCKSTEP_TEST_DSN or DATABASE_URL names it, with a superuser.
"""

from __future__ import annotations

import os
import secrets
import signal
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psycopg
import pytest
from project import Shop, shop_on
from psycopg import sql
from psycopg.conninfo import make_conninfo
from witness import SECRET, NothingLeftHere, nothing_left, tables_made, wait_until

from django_lockstep.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from witness import Connection


for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        # A shell that starts us in the background has Ctrl-C ignored, and nohup the hang-up; the processes that tests
        # signal would inherit it.
        signal.signal(_number, _handler)


@pytest.fixture(scope="session", autouse=True)
def the_suite_leaves_this_process_as_it_was() -> Iterator[None]:
    before = NothingLeftHere()
    yield
    before.check()


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The DSN of the suite's server; after the suite, nothing of ours may be there."""
    named = os.environ.get("LOCKSTEP_TEST_DSN") or os.environ.get("DATABASE_URL")
    with nullcontext() if named else EmbeddedServer() as server:
        dsn = named or (server.dsn if server else "")
        yield dsn
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            nothing_left(connection)


@pytest.fixture(scope="session")
def session_witness(server_dsn: str) -> Iterator[Connection]:
    with closing(psycopg.connect(server_dsn, autocommit=True, application_name="witness")) as connection:
        yield connection


@pytest.fixture
def witness(session_witness: Connection) -> Iterator[Connection]:
    """A superuser's connection that looks on; after the test, nothing of ours may be left anywhere."""
    nothing_left(session_witness)
    before = NothingLeftHere()
    yield session_witness
    nothing_left(session_witness)
    before.check()


@pytest.fixture
def dsn(server_dsn: str, witness: Connection) -> str:
    """The DSN of a superuser of the suite's server, which the test leaves as it was."""
    assert not witness.closed
    return server_dsn


@pytest.fixture(scope="module")
def shop_of_the_module(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_on(server_dsn, tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(shop_of_the_module: Shop) -> Iterator[Shop]:
    """A Django project on the suite's server; after the test, nothing of ours may be left there."""
    yield shop_of_the_module
    with closing(psycopg.connect(shop_of_the_module.dsn, autocommit=True)) as connection:
        nothing_left(connection)


@pytest.fixture(scope="module")
def password_server() -> Iterator[str]:
    """A server that wants SECRET of the role ``guarded``; yields its DSN without a password."""
    with EmbeddedServer({"password_encryption": "scram-sha-256"}) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute(
                psycopg.sql.SQL("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD {}").format(SECRET)
            )
            connection.execute("CREATE ROLE nobody_in LOGIN")
        hba = Path(server.data_dir, "pg_hba.conf")
        rules = "local all guarded scram-sha-256\nlocal all nobody_in reject\n"
        hba.write_text(rules + hba.read_text())
        with psycopg.connect(server.dsn) as connection:
            connection.execute("SELECT pg_reload_conf()")
        guarded = make_conninfo(server.dsn, user="guarded")

        def is_guarded() -> bool:
            try:
                psycopg.connect(guarded, password="wrong").close()
            except psycopg.OperationalError:
                return True
            return False

        wait_until(is_guarded, "the server to want passwords")
        yield guarded


@pytest.fixture
def private_server() -> Iterator[EmbeddedServer]:
    """A server that a test may freeze, stop or configure."""
    before = NothingLeftHere()
    with EmbeddedServer() as server:
        yield server
    before.check()


class MakeRole(Protocol):
    """Makes an ordinary role and returns its DSN."""

    def __call__(
        self, attributes: str = "", *, grant: str = "", settings: dict[str, str] | None = None
    ) -> str:
        """``grant`` is what stands between GRANT and TO."""


@pytest.fixture
def role(dsn: str, witness: Connection) -> Iterator[MakeRole]:
    """Roles for one test. A new one may connect and little else."""
    made = []

    def make(attributes: str = "", *, grant: str = "", settings: dict[str, str] | None = None) -> str:
        name, password = f"suite_{secrets.token_hex(4)}", secrets.token_hex(8)
        made.append(name)
        identifier = sql.Identifier(name).as_string(witness)
        tables_made(dsn, f"CREATE ROLE {identifier} LOGIN PASSWORD '{password}' {attributes}")
        if grant:
            tables_made(dsn, f"GRANT {grant} TO {identifier}")
        for setting, wanted in (settings or {}).items():
            tables_made(dsn, f"ALTER ROLE {identifier} SET {setting} = '{wanted}'")
        return make_conninfo(dsn, user=name, password=password)

    yield make
    nothing_left(witness)
    for name in made:
        identifier = sql.Identifier(name).as_string(witness)
        tables_made(dsn, f"DROP OWNED BY {identifier}", f"DROP ROLE {identifier}")


@pytest.fixture
def may_create(witness: Connection) -> str:
    """What to grant to a role that shall make scratch rows."""
    database = sql.Identifier(witness.info.dbname).as_string(witness)
    return f"CREATE ON DATABASE {database}"


@pytest.fixture
def table(dsn: str, witness: Connection) -> Iterator[str]:
    """A real table with the rows 1 to 40."""
    name = f"suite_table_{secrets.token_hex(4)}"
    tables_made(
        dsn,
        f"CREATE TABLE {name} (id bigint PRIMARY KEY, balance int NOT NULL DEFAULT 0)",
        f"INSERT INTO {name} SELECT generate_series(1, 40)",
    )
    yield name
    nothing_left(witness)
    tables_made(dsn, f"DROP TABLE {name}")


@pytest.fixture(scope="module")
def orm(server_dsn: str) -> Iterator[str]:
    """The database that callables run on; yields its DSN."""
    from orm.database import orm_on

    with orm_on(server_dsn) as dsn:
        yield dsn


@pytest.fixture
def clean_orm(orm: str) -> Iterator[str]:
    """The same with empty tables; after the test, no connection, thread or file more than before."""
    from django.db import connections
    from orm.database import emptied, sessions_of

    before = NothingLeftHere()
    yield orm
    emptied()
    connections.close_all()
    wait_until(lambda: not sessions_of(orm), f"{sessions_of(orm)} to be gone")
    before.check()


@pytest.fixture(scope="module")
def tellers(server_dsn: str) -> Iterator[None]:
    """A database for callables, and aliases of ordinary roles: see ``tellers``."""
    from tellers import tellers_on

    with tellers_on(server_dsn):
        yield


@pytest.fixture
def ledger(tellers: None, witness: Connection) -> Iterator[None]:  # noqa: ARG001
    """Accounts 1 to 40; afterwards this process and the server are as they were."""
    from django.db import connections
    from orm.models import Account

    Account.objects.bulk_create(Account(pk=key, balance=10_000 + key) for key in range(1, 41))
    yield
    Account.objects.all().delete()
    connections.close_all()
    nothing_left(witness)
