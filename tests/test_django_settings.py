"""What Django settings can say about a connection, with a real project's ``manage.py``."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from project import Shop, settings_of
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from witness import SECRET, tables_made

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from conftest import MakeRole
    from witness import Connection

ENGINE = "django.db.backends.postgresql"
DRIVERS = ["psycopg", "psycopg2"]
FAST_OPTIONS = "-c deadlock_timeout=30ms"


@pytest.fixture
def shop(dsn: str, tmp_path: Path) -> Shop:
    """A project whose ``default`` is the suite's own database."""
    databases = {
        "default": {"ENGINE": ENGINE, **settings_of(dsn), "OPTIONS": {"options": FAST_OPTIONS}},
    }
    return Shop(dsn, tmp_path, databases)


def add(shop: Shop, alias: str, **changes: Any) -> None:
    """Add an alias that differs from ``default``; its OPTIONS are added to."""
    options = {**shop.databases["default"]["OPTIONS"], **changes.pop("OPTIONS", {})}
    shop.databases[alias] = {**shop.databases["default"], "OPTIONS": options, **changes}


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr + done.stdout
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["outcome"] == "deadlock"
    return report


def report(shop: Shop, alias: str, *arguments: str, **environment: str) -> dict[str, Any]:
    return told(shop.deadlock_test("--database", alias, "--format", "json", *arguments, **environment))


def refused(shop: Shop, alias: str, *arguments: str, status: int = 1, **environment: str) -> str:
    done = shop.deadlock_test("--database", alias, *arguments, **environment)
    assert done.returncode == status, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def begins(told: dict[str, Any]) -> set[str]:
    """Return how the transactions began."""
    return {session["statements"][0]["sql"].partition(";")[0] for session in told["sessions"]}


@pytest.mark.parametrize("driver", DRIVERS)
def test_both_drivers(driver: str, shop: Shop) -> None:
    assert report(shop, "default", SHOP_DRIVER=driver)["outcome"] == "deadlock"


@pytest.mark.parametrize("driver", DRIVERS)
def test_service(driver: str, shop: Shop, dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "services.conf"
    parts = {**conninfo_to_dict(dsn), "application_name": "from the service"}
    file.write_text("[suite]\n" + "".join(f"{name}={wanted}\n" for name, wanted in parts.items()))
    bare = {"NAME": "", "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}
    add(shop, "served", **bare, OPTIONS={"service": "suite"})
    told = report(shop, "served", PGSERVICEFILE=str(file), SHOP_DRIVER=driver)
    assert told["server"]["database"] == parts["dbname"]
    add(shop, "unserved", **bare, OPTIONS={"service": "no such service"})
    assert '"no such service" not found' in refused(shop, "unserved", PGSERVICEFILE=str(file))


@pytest.mark.parametrize("driver", DRIVERS)
def test_passfile(driver: str, password_server: str, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    escaped = SECRET.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"*:*:*:guarded:{escaped}\n", encoding="utf-8")
    file.chmod(0o600)
    database = {"ENGINE": ENGINE, **settings_of(password_server), "PASSWORD": ""}
    shop = Shop(password_server, tmp_path, {"default": {**database, "OPTIONS": {"passfile": str(file)}}})
    told = report(shop, "default", "--deadlock-timeout=0.03", SHOP_DRIVER=driver)
    assert told["server"]["role"] == "guarded"
    assert SECRET not in str(told)
    file.chmod(0o644)
    error = refused(shop, "default", SHOP_DRIVER=driver)
    assert "password" in error
    assert SECRET not in error


LEVELS = [
    # psycopg 3's numbers, psycopg2's, and what they mean
    (1, 4, "READ COMMITTED"),
    (2, 1, "READ COMMITTED"),
    (3, 2, "REPEATABLE READ"),
    (4, 3, "SERIALIZABLE"),
]


@pytest.mark.parametrize(("psycopg3", "psycopg2", "level"), LEVELS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_isolation_level_is_the_default(
    driver: str, psycopg3: int, psycopg2: int, level: str, shop: Shop
) -> None:
    number = psycopg3 if driver == "psycopg" else psycopg2
    add(shop, "isolated", OPTIONS={"isolation_level": number})
    assert begins(report(shop, "isolated", SHOP_DRIVER=driver)) == {f"BEGIN ISOLATION LEVEL {level}"}


def test_without_an_isolation_level_it_is_read_committed(shop: Shop) -> None:
    assert begins(report(shop, "default")) == {"BEGIN ISOLATION LEVEL READ COMMITTED"}


def test_the_command_line_says_more_than_the_settings(shop: Shop) -> None:
    add(shop, "isolated", OPTIONS={"isolation_level": 4})
    told = report(shop, "isolated", "--isolation", "repeatable read")
    assert begins(told) == {"BEGIN ISOLATION LEVEL REPEATABLE READ"}


def test_an_isolation_level_that_does_not_exist(shop: Shop) -> None:
    add(shop, "isolated", OPTIONS={"isolation_level": 77})
    assert "does not exist: 77" in refused(shop, "isolated")


@pytest.fixture
def assumable(dsn: str, witness: Connection) -> Iterator[str]:
    """A role that nobody logs in as, with a name that needs escaping."""
    name = f"suite assumed\\{secrets.token_hex(3)}"
    identifier = sql.Identifier(name).as_string(witness)
    tables_made(dsn, f"CREATE ROLE {identifier}")
    yield name
    tables_made(dsn, f"DROP OWNED BY {identifier}", f"DROP ROLE {identifier}")


@pytest.mark.parametrize("driver", DRIVERS)
def test_assume_role(driver: str, shop: Shop, assumable: str) -> None:
    add(shop, "assuming", OPTIONS={"assume_role": assumable})
    told = report(shop, "assuming", SHOP_DRIVER=driver)
    assert told["server"]["role"] == assumable
    # What it may not do, it cannot do; and the options that were there still count.
    assert "advisory locks" in str(told["notes"])
    assert told["server"]["deadlock_timeout"] == 0.03
    # Those of the environment as well.
    del shop.databases["assuming"]["OPTIONS"]["options"]
    told = report(shop, "assuming", PGOPTIONS="-c deadlock_timeout=40ms")
    assert (told["server"]["role"], told["server"]["deadlock_timeout"]) == (assumable, 0.04)


def test_a_role_that_may_not_be_assumed(shop: Shop, assumable: str, role: MakeRole) -> None:
    stranger = settings_of(role())
    options = {"options": "", "assume_role": assumable}
    add(shop, "stranger", **stranger, OPTIONS=options)
    assert "permission denied to set role" in refused(shop, "stranger")
    add(shop, "nobody", OPTIONS={"assume_role": "suite_no_such_role"})
    assert "suite_no_such_role" in refused(shop, "nobody")


@pytest.mark.parametrize(
    "options", [{"pool": True}, {"pool": {"min_size": 2}}, {"server_side_binding": True}]
)
def test_what_concerns_only_the_driver_makes_no_difference(options: dict[str, Any], shop: Shop) -> None:
    add(shop, "other", OPTIONS=options)
    report(shop, "other")


def test_every_tls_and_driver_option_that_django_lets_through(shop: Shop) -> None:
    add(
        shop,
        "other",
        OPTIONS={
            "sslmode": "prefer",
            "connect_timeout": 5,
            "keepalives": 1,
            "client_encoding": "UTF8",
            "prepare_threshold": 3,
            "application_name": "shop",
        },
    )
    report(shop, "other")
    add(shop, "unknown", OPTIONS={"no_such_option": 1})
    assert "no_such_option" in refused(shop, "unknown")
    add(shop, "gss", OPTIONS={"gssencmode": "require"})
    assert "GSSAPI" in refused(shop, "gss")


def test_several_aliases(shop: Shop, dsn: str) -> None:
    add(shop, "template", NAME="template1")
    assert report(shop, "default")["server"]["database"] == conninfo_to_dict(dsn)["dbname"]
    assert report(shop, "template")["server"]["database"] == "template1"


@pytest.mark.parametrize("engine", ["shop_backend", "django_prometheus.db.backends.postgresql"])
def test_engines_made_from_postgresqls(engine: str, shop: Shop) -> None:
    add(shop, "other", ENGINE=engine)
    report(shop, "other")


def test_an_engine_that_cannot_be_loaded(shop: Shop) -> None:
    add(shop, "other", ENGINE="suite.no.such.engine")
    assert "cannot be loaded" in refused(shop, "other")


READ_ONLY = f"{FAST_OPTIONS} -c default_transaction_read_only=on"


def test_a_replica_names_the_alias_to_use(shop: Shop) -> None:
    add(shop, "replica", OPTIONS={"options": READ_ONLY})
    add(shop, "primary")
    # The routers send the writes of most models to "default", …
    assert "Here that is --database default." in refused(shop, "replica")
    # … but what the replica mirrors in tests is nearer.
    shop.databases["replica"]["TEST"] = {"MIRROR": "primary"}
    error = refused(shop, "replica")
    assert "read-only" in error
    assert "Here that is --database primary." in error
    told = report(shop, "replica", "--lock", "advisory")
    assert told["outcome"] == "deadlock"


def test_a_replica_without_a_primary_names_none(shop: Shop) -> None:
    shop.databases["default"]["OPTIONS"]["options"] = READ_ONLY
    error = refused(shop, "default")
    assert "read-only" in error
    assert "Here that is" not in error


@pytest.mark.parametrize("driver", DRIVERS)
def test_parallel_tests_use_their_own_clones(driver: str, shop: Shop, dsn: str) -> None:
    add(shop, "default", TEST={"NAME": "suite_named_by_test"})
    done = shop.manage("test", "--parallel=2", "clones", SHOP_DRIVER=driver)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(dsn) as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'suite_named%'"
        ).fetchall()
    assert left == []
    used = {json.loads(line) for line in (shop.folder / "clones.txt").read_text().splitlines()}
    assert used == {"suite_named_by_test_1", "suite_named_by_test_2"}


def test_the_documents_snippet(shop: Shop) -> None:
    document = Path(__file__).parent.parent / "docs" / "connection.md"
    snippet = document.read_text().partition("```python\n")[2].partition("```")[0]
    done = shop.manage("shell", "-v0", "--command", snippet)
    assert done.stdout.strip() == "deadlock", done.stderr


def test_a_socket_folder_and_a_port(shop: Shop, dsn: str) -> None:
    """A host that begins with a slash is the folder of a Unix socket, as for Django."""
    parts = conninfo_to_dict(dsn)
    assert shop.databases["default"]["HOST"] == parts["host"]
    add(shop, "elsewhere", PORT="1")
    assert f"{parts['host']}/.s.PGSQL.1" in refused(shop, "elsewhere")
    assert make_conninfo(dsn)
