"""Work over TLS: passwords bound to the channel, cancelling, and what a refusal says."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import certificates as make
import psycopg
import pytest
from certificates import alternative
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from tls_server import EVERYONE, HOST, TlsServer
from witness import FAST, At, NothingLeftHere, nothing_left

from django_lockstep import simulate_deadlock
from django_lockstep.exceptions import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from certificates import Certificate

PASSWORD = "channel-b0und"
SCRAM = "host all ann 127.0.0.1/32 scram-sha-256"


@pytest.fixture(scope="module")
def ca() -> Certificate:
    return make.make("Lockstep Test CA", authority=True)


@pytest.fixture(scope="module")
def good(ca: Certificate) -> Certificate:
    return make.make(HOST, alternative(HOST), issuer=ca)


@pytest.fixture(scope="module")
def server(good: Certificate) -> Iterator[TlsServer]:
    before = NothingLeftHere()
    with TlsServer() as server:
        server.configure(good)
        server.witness.execute(f"CREATE ROLE ann LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        yield server
        nothing_left(server.witness)
    before.check()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("PG", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def roots(tmp_path: Path, ca: Certificate) -> str:
    (tmp_path / "roots.crt").write_bytes(ca.pem)
    return str(tmp_path / "roots.crt")


def lets_in(dsn: str) -> bool:
    """Whether we get in; psycopg must agree."""
    try:
        psycopg.connect(dsn).close()
        theirs = True
    except psycopg.OperationalError:
        theirs = False
    try:
        simulate_deadlock(dsn, deadlock_timeout=FAST)
        ours = True
    except ConnectionFailed:
        ours = False
    assert ours == theirs
    return ours


def refusal(dsn: str) -> ConnectionFailed:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
    with pytest.raises(ConnectionFailed) as caught:
        simulate_deadlock(dsn)
    return caught.value


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("kind", ["EC, SHA-256", "EC, SHA-384", "RSA, SHA-256", "RSA, SHA-512"])
def test_scram_is_bound_to_the_channel(kind: str, version: str, server: TlsServer, ca: Certificate) -> None:
    digests: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
        "SHA-256": hashes.SHA256(),
        "SHA-384": hashes.SHA384(),
        "SHA-512": hashes.SHA512(),
    }
    algorithm, digest = kind.split(", ")
    by: Certificate = ca if algorithm == "EC" else make.make("RSA CA", authority=True, key=rsa_key())
    served = make.make(HOST, alternative(HOST), issuer=by, digest=digests[digest])
    server.configure(served, hba=SCRAM, settings={"ssl_max_protocol_version": version})
    assert lets_in(server.dsn(sslmode="require", channel_binding="require", user="ann", password=PASSWORD))
    assert not lets_in(server.dsn(sslmode="require", channel_binding="require", user="ann", password="wrong"))
    assert lets_in(server.dsn(sslmode="require", channel_binding="disable", user="ann", password=PASSWORD))


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "hba", [SCRAM.replace("scram-sha-256", "password"), SCRAM.replace("scram-sha-256", "trust")]
)
def test_channel_binding_is_insisted_on(hba: str, server: TlsServer, good: Certificate) -> None:
    server.configure(good, hba=hba)
    assert not lets_in(
        server.dsn(sslmode="require", channel_binding="require", user="ann", password=PASSWORD)
    )
    assert lets_in(server.dsn(sslmode="require", channel_binding="prefer", user="ann", password=PASSWORD))


def test_channel_binding_needs_tls(server: TlsServer, good: Certificate) -> None:
    server.configure(good, hba=SCRAM)
    error = refusal(server.dsn(sslmode="disable", channel_binding="require", user="ann", password=PASSWORD))
    assert "channel" in str(error)


def test_wrong_password(server: TlsServer, good: Certificate) -> None:
    server.configure(good, hba=SCRAM)
    for mode in ("disable", "allow", "prefer", "require"):
        error = refusal(server.dsn(sslmode=mode, user="ann", password="wrong-Passw0rd"))
        assert error.sqlstate == "28P01"
        assert "wrong-Passw0rd" not in f"{error!s}{error!r}{error.__cause__!s}{error.detail}"


def test_no_password(server: TlsServer, good: Certificate) -> None:
    server.configure(good, hba=SCRAM)
    error = refusal(server.dsn(sslmode="require", user="ann"))
    assert "password" in str(error)


@pytest.mark.parametrize(
    ("served", "mode", "says"),
    [
        ("none", "require", "does not support SSL, but sslmode=require requires it"),
        ("unknown CA", "verify-ca", "not issued by any CA in sslrootcert"),
        ("expired", "verify-ca", "has expired"),
        ("wrong host", "verify-full", "is not for host db.lockstep.test"),
        ("revoked", "verify-ca", "was revoked"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(
    served: str, mode: str, says: str, server: TlsServer, ca: Certificate, roots: str, tmp_path: Path
) -> None:
    makers: dict[str, Callable[[], Certificate | None]] = {
        "none": lambda: None,
        "unknown CA": lambda: make.make(HOST, alternative(HOST), issuer=make.make("Other", authority=True)),
        "expired": lambda: make.make(HOST, alternative(HOST), issuer=ca, days=(-9, -1)),
        "wrong host": lambda: make.make("db", alternative("other.test"), issuer=ca),
        "revoked": lambda: make.make(HOST, alternative(HOST), issuer=ca),
    }
    certificate = makers[served]()
    server.configure(certificate)
    parameters = {"sslmode": mode, "sslrootcert": roots}
    if served == "revoked":
        assert certificate
        (tmp_path / "list.crl").write_bytes(make.revocation_list(ca, certificate))
        parameters["sslcrl"] = str(tmp_path / "list.crl")
    error = refusal(server.dsn(**parameters))
    assert says in str(error)
    assert error.hint
    assert str(error).endswith(error.hint)


def test_the_whole_job(server: TlsServer, good: Certificate, roots: str) -> None:
    server.configure(good)
    dsn = server.dsn(sslmode="verify-full", sslrootcert=roots)
    for sessions in (2, 5):
        report = simulate_deadlock(
            dsn, sessions=sessions, rows=range(1, sessions + 1), victim="B", deadlock_timeout=FAST
        )
        assert report.outcome == "deadlock"
        assert report.victims == ("B",)
    nothing_left(server.witness)


CANCELLED = "canceling statement due to user request"


@pytest.fixture
def held(server: TlsServer, good: Certificate) -> Iterator[str]:
    """A table whose rows somebody else holds: only a cancel request ends a wait for them."""
    server.configure(good)
    server.witness.execute("CREATE TABLE held AS SELECT generate_series(1, 2) AS id")
    with psycopg.connect(server.inside) as outsider:
        outsider.execute("SELECT 1 FROM held FOR UPDATE")
        yield "held"
        outsider.rollback()
    server.witness.execute("DROP TABLE held")


@pytest.mark.parametrize("mode", ["disable", "require", "verify-full"])
def test_timeout_cancels(mode: str, server: TlsServer, held: str, roots: str) -> None:
    before, began = server.log().count(CANCELLED), time.monotonic()
    report = simulate_deadlock(server.dsn(sslmode=mode, sslrootcert=roots), table=held, timeout=0.5)
    assert report.outcome == "timeout"
    assert time.monotonic() - began < 1.5
    assert "cancelled" in {session.outcome for session in report.sessions}
    assert server.log().count(CANCELLED) > before  # asked to, not just hung up on
    nothing_left(server.witness)


def test_an_interrupt_cancels(server: TlsServer, held: str) -> None:
    before = server.log().count(CANCELLED)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_deadlock(server.dsn(sslmode="require"), table=held, on_event=At("waiting", interrupt))
    assert server.log().count(CANCELLED) > before
    nothing_left(server.witness)
    assert "could not accept SSL connection" not in server.log()[-2000:]


def test_client_certificate_over_tls(
    server: TlsServer, good: Certificate, ca: Certificate, tmp_path: Path
) -> None:
    server.configure(good, hba="hostssl all all 127.0.0.1/32 cert", clients=ca.pem)
    client = make.make("ann", issuer=ca)
    (tmp_path / "ann.crt").write_bytes(client.pem)
    (tmp_path / "ann.key").write_bytes(client.key_pem("pAssphrase"))
    (tmp_path / "ann.key").chmod(0o600)
    files = {"sslcert": str(tmp_path / "ann.crt"), "sslkey": str(tmp_path / "ann.key")}
    report = simulate_deadlock(
        server.dsn(user="ann", sslmode="require", sslpassword="pAssphrase", **files), deadlock_timeout=FAST
    )
    assert (report.outcome, report.server.role) == ("deadlock", "ann")
    error = refusal(server.dsn(user="ann", sslmode="require", sslpassword="Wrong-pAssphrase", **files))
    assert "could not decrypt private key file" in str(error).lower()
    assert "pAssphrase" not in f"{error}{error!r}{error.__cause__}"
    server.configure(good, hba=EVERYONE)
