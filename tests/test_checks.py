"""The system checks ``lockstep.W001`` and following, as ``manage.py check`` shows them. None needs a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from project import SECRET, Shop

if TYPE_CHECKING:
    from pathlib import Path

POSTGRESQL = "django.db.backends.postgresql"


def checked(folder: Path, *arguments: str, **databases: dict[str, Any]) -> str:
    """Return what ``check`` says; a server that is asked for anything would be an error."""
    shop = Shop("", folder, databases)
    environment = {"HOME": str(folder), "SHOP_ROUTERS": "[]"}
    done = shop.manage("check", *arguments, **environment)
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    return done.stderr + done.stdout


def postgresql(**options: Any) -> dict[str, Any]:
    """An alias whose server does not exist."""
    return {
        "ENGINE": POSTGRESQL,
        "NAME": "nowhere",
        "HOST": "127.0.0.1",
        "PORT": "1",
        "PASSWORD": SECRET,
        "OPTIONS": options,
    }


SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


def test_good_settings_are_silent(tmp_path: Path) -> None:
    told = checked(tmp_path, default=postgresql(options="-c lock_timeout=5s"), lite=SQLITE)
    assert "no issues" in told


def test_a_default_that_is_not_postgresql(tmp_path: Path) -> None:
    told = checked(tmp_path, default=SQLITE, warehouse=postgresql())
    assert "(lockstep.W001)" in told
    assert "django.db.backends.sqlite3" in told
    assert "--database warehouse" in told
    assert "--embedded" in checked(tmp_path, default=SQLITE)
    assert "has no ENGINE" in checked(tmp_path, default={})


@pytest.mark.parametrize(
    ("options", "id_"),
    [
        ("-c lock_timeout=500", "W002"),
        ("-c lock_timeout=1s", "W002"),
        ("-clock_timeout=999ms", "W002"),
        ("--lock-timeout=0.5s", "W002"),
        ("-c search_path=a\\ b -c LOCK_TIMEOUT=500ms", "W002"),
        ("-c lock_timeout=2s -c deadlock_timeout=3s", "W002"),
        ("-c statement_timeout=900", "W003"),
        ("-c default_transaction_read_only=on", "W004"),
        ("-c lock_timeout=2s", None),
        ("-c lock_timeout=0", None),
        ("-c lock_timeout=500 -c lock_timeout=2min", None),
        ("-c lock_timeout=500 -c deadlock_timeout=100ms", None),
        ("-c default_transaction_read_only=off", None),
        ("-c application_name=lock_timeout=5", None),
    ],
)
def test_options(options: str, id_: str | None, tmp_path: Path) -> None:
    told = checked(tmp_path, default=postgresql(options=options))
    if id_ is None:
        assert "no issues" in told
    else:
        assert f"(lockstep.{id_})" in told
        assert "HINT" in told
        assert told.count("lockstep.W") == 1


def test_options_of_a_service(tmp_path: Path) -> None:
    (tmp_path / ".pg_service.conf").write_text("[slow]\noptions=-c lock_timeout=10\n")
    assert "(lockstep.W002)" in checked(tmp_path, default=postgresql(service="slow"))


@pytest.mark.parametrize("attribute", ["read-only", "standby"])
def test_a_replica(attribute: str, tmp_path: Path) -> None:
    told = checked(tmp_path, default=postgresql(target_session_attrs=attribute))
    assert "(lockstep.W004)" in told
    assert attribute in told


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"gssencmode": "require"}, "GSSAPI"),
        ({"service": "none"}, 'service "none" not found'),
        ({"no_such_option": 1}, "no_such_option"),
        ({"isolation_level": 99}, "99"),
        ({"sslmode": "sometimes"}, "sometimes"),
    ],
)
def test_settings_that_cannot_be_honoured(options: dict[str, Any], what: str, tmp_path: Path) -> None:
    told = checked(tmp_path, default=postgresql(**options))
    assert "(lockstep.W005)" in told
    assert what in told


def test_every_alias_is_checked(tmp_path: Path) -> None:
    bad = postgresql(options="-c lock_timeout=1")
    told = checked(tmp_path, default=postgresql(), one=bad, two=bad)
    assert told.count("(lockstep.W002)") == 2


def test_a_check_is_silenced_and_chosen_by_its_tag(tmp_path: Path) -> None:
    bad = postgresql(options="-c lock_timeout=1")
    assert "(lockstep.W002)" in checked(tmp_path, "--tag", "lockstep", default=bad)
    assert "no issues" in checked(tmp_path, "--tag", "models", default=bad)
    assert "no issues" in checked(tmp_path, "shop", default=bad)
