"""No password, passphrase, key or line of a password file is told: not in a message, a repr, a log line or a report."""

from __future__ import annotations

import json
import logging
import os
import pickle
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import certificates as make
import pytest
from certificates import alternative
from project import Shop, settings_of
from psycopg.conninfo import make_conninfo
from tls_server import HOST, TlsServer
from witness import FAST, SECRET, NothingLeftHere

from django_lockstep import LockstepError, simulate_deadlock
from django_lockstep._core import dsn_parts, dsn_resolved

if TYPE_CHECKING:
    from pathlib import Path

WRONG = "wr0ng'p@ss wörd%"
OTHER_LINE = "0ther-l1ne"
PASSPHRASE = "pass-phr4se"
OAUTH = "0auth-secret"


def forms(secret: str) -> set[str]:
    """Return how a text may spell it."""
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        secret.replace("'", "\\'"),
        secret.replace("'", "''"),
        secret.encode("unicode_escape").decode(),
    }


class Grep:
    """Collects all that is told, and looks for secrets in it."""

    def __init__(self, *secrets: str) -> None:
        self.forms = {form for secret in secrets for form in forms(secret)}
        self.told: list[str] = []

    def exception(self, error: BaseException) -> None:
        """All that a log could show of an exception."""
        self.told.append("".join(traceback.format_exception(error)))
        one: BaseException | None = error
        while one is not None:
            self.told.append(f"{one!r} {one} {one.args} {vars(one)}")
            one = one.__cause__ or one.__context__

    def run(self, dsn: str, **keywords: Any) -> None:
        """Everything about one run, however it ends."""
        seen: list[object] = []
        try:
            report = simulate_deadlock(dsn, on_start=seen.append, on_event=seen.append, **keywords)
        except LockstepError as error:
            self.exception(error)
        else:
            self.told += [report.to_json(), report.to_text(3), repr(report), str(report.to_dict())]
            self.told += [report.to_html(), report.to_mermaid(), repr(report.sessions), report.explanation]
        self.told += [f"{one} {one!r}" for one in seen]

    def check(self, *, at_least: int = 1) -> None:
        """Assert that there was something to look through, and that no secret is in it."""
        assert len(self.told) >= at_least
        for text in self.told:
            for form in self.forms:
                assert form not in text, text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("PG", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def passfile(folder: Path, password: str, mode: int = 0o600) -> str:
    file = folder / "passwords"
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"elsewhere:*:*:*:{OTHER_LINE}\n*:*:*:guarded:{escaped}\n", encoding="utf-8")
    file.chmod(mode)
    return str(file)


def test_passwords_however_they_are_given(
    password_server: str, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    grep = Grep(SECRET, WRONG, OTHER_LINE, OAUTH)
    guarded = password_server
    for password in (SECRET, WRONG):
        for file_mode in (0o600, 0o644):
            grep.run(
                make_conninfo(guarded, passfile=passfile(home, password, file_mode)), deadlock_timeout=FAST
            )
        with_password = make_conninfo(guarded, password=password)
        for more in ({}, {"dbname": "nowhere"}, {"options": "-c nonsense"}, {"oauth_client_secret": OAUTH}):
            grep.run(with_password + " " + make_conninfo(**more), deadlock_timeout=FAST)
        grep.run(with_password, lock="share", timeout=5)
        grep.run(with_password, table="no_such_table")
        for mistake in ("bogus", "bogus=1", "port=x", "sslmode=x", "gssencmode=require", "service=none", "'"):
            grep.run(f"{with_password} {mistake}")
        grep.run(f"postgresql://guarded:{quote(password, safe='')}@[::1/db")
        grep.run(f"postgresql://guarded:{password}@localhost/db")
        monkeypatch.setenv("PGPASSWORD", password)
        grep.run(guarded, deadlock_timeout=FAST)
        monkeypatch.delenv("PGPASSWORD")
        (home / ".pg_service.conf").write_text(f"[suite]\npassword={password}\nnonsense {password}\n")
        grep.run(f"{guarded} service=suite")
        (home / ".pg_service.conf").write_text(f"[suite]\npassword={password}\n")
        grep.run(f"{guarded} service=suite", deadlock_timeout=FAST)
        grep.told.append(str(dsn_resolved(f"{with_password} oauth_client_secret={OAUTH} service=suite")))
        assert dsn_parts(with_password)["password"] == password, "only who asks for the parts gets it"
    grep.told += [record.getMessage() for record in caplog.records]
    grep.check(at_least=60)


def test_the_command(password_server: str, tmp_path: Path) -> None:
    grep = Grep(SECRET, WRONG)
    database: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql", **settings_of(password_server)}
    aliases: dict[str, dict[str, Any]] = {
        "right": {**database, "PASSWORD": SECRET},
        "wrong": {**database, "PASSWORD": WRONG},
        "nowhere": {**database, "PASSWORD": SECRET, "HOST": "127.0.0.1", "PORT": "1"},
        "nonsense": {**database, "PASSWORD": SECRET, "OPTIONS": {"no_such_option": 1}},
    }
    shop = Shop(password_server, tmp_path, {"default": aliases["right"], **aliases})
    commands: list[tuple[str, ...]] = [
        ("--database", alias, "--deadlock-timeout=0.02", "--traceback") for alias in aliases
    ]
    commands += [("--dsn", make_conninfo(password_server, password=WRONG, dbname="x"), "-v3")]
    commands += [("--dsn", make_conninfo(password_server, password=SECRET) + " bogus", "--traceback")]
    commands += [
        ("--database", "right", "--deadlock-timeout=0.02", *more) for more in (["-v3"], ["--repeat=2"])
    ]
    for command in commands:
        done = shop.deadlock_test(*command)
        grep.told += [done.stdout, done.stderr]
    checked = shop.manage("check", "--traceback")
    grep.told += [checked.stdout, checked.stderr]
    assert "DEADLOCK" in "".join(grep.told)
    grep.check(at_least=18)


def test_keys_and_passphrases(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ca = make.make("Lockstep Test CA", authority=True)
    client = make.make("postgres", issuer=ca)
    before = NothingLeftHere()
    keys = {
        "plain": client.key_pem(),
        "encrypted": client.key_pem(PASSPHRASE),
        "of another": make.make("other", issuer=ca).key_pem(),
        "broken": client.key_pem().replace(b"PRIVATE KEY", b"PRIVATE KEI"),
        "half": client.key_pem()[:120],
    }
    lines = {
        line for key in keys.values() for line in key.decode().splitlines() if not line.startswith("-----")
    }
    grep = Grep(PASSPHRASE, WRONG, *lines)
    (home / "client.crt").write_bytes(client.pem)
    with TlsServer() as server:
        server.configure(
            make.make(HOST, alternative(HOST), issuer=ca),
            hba="hostssl all all 127.0.0.1/32 cert",
            clients=ca.pem,
        )
        for key in keys.values():
            (home / "client.key").write_bytes(key)
            for mode in (0o600, 0o644):
                (home / "client.key").chmod(mode)
                for passphrase in ("", PASSPHRASE, WRONG):
                    dsn = server.dsn(
                        sslmode="require",
                        sslcert=str(home / "client.crt"),
                        sslkey=str(home / "client.key"),
                        sslpassword=passphrase,
                    )
                    grep.run(dsn, deadlock_timeout=FAST)
    assert any("DEADLOCK" in text for text in grep.told)
    grep.told += [record.getMessage() for record in caplog.records]
    grep.check(at_least=30)
    before.check()


def test_what_is_kept_of_a_run_holds_no_secret(password_server: str) -> None:
    """An exception can be sent to another process, as --parallel does; no DSN goes with it."""
    with pytest.raises(LockstepError) as caught:
        simulate_deadlock(make_conninfo(password_server, password=WRONG))
    sent = pickle.dumps(caught.value)
    for form in forms(WRONG):
        assert form.encode() not in sent
