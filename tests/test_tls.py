"""TLS as libpq has it: for every ``sslmode`` and every kind of server the same accept or refuse as psycopg's."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import certificates as make
import psycopg
import pytest
from certificates import alternative
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from tls_server import EVERYONE, HOST, TlsServer
from witness import NothingLeftHere, nothing_left

from django_lockstep import simulate_deadlock
from django_lockstep.exceptions import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from certificates import Certificate

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SECRET = "kEy-Passw0rd"


class Pki:
    """All the certificates of the tests, made when they are first asked for."""

    @cached_property
    def ca(self) -> Certificate:
        return make.make("Lockstep Test CA", authority=True)

    @cached_property
    def other_ca(self) -> Certificate:
        return make.make("Another CA", authority=True)

    @cached_property
    def namesake_ca(self) -> Certificate:
        return make.make("Lockstep Test CA", authority=True)

    @cached_property
    def expired_ca(self) -> Certificate:
        return make.make("Expired CA", authority=True, days=(-30, -1))

    @cached_property
    def intermediate(self) -> Certificate:
        return make.make("Intermediate CA", issuer=self.ca, authority=True)

    @cached_property
    def good(self) -> Certificate:
        return make.make(HOST, alternative(HOST), issuer=self.ca)

    @cached_property
    def client(self) -> Certificate:
        return make.make("postgres", issuer=self.ca)

    @cached_property
    def rsa(self) -> Certificate:
        key = rsa.generate_private_key(65537, 2048)
        return make.make(HOST, alternative(HOST), issuer=self.ca, key=key, digest=hashes.SHA384())

    def server(self, name: str) -> Certificate | None:
        """Return what the server of a case serves."""
        makers: dict[str, Callable[[], Certificate | None]] = {
            "good": lambda: self.good,
            "none": lambda: None,
            "rsa": lambda: self.rsa,
            "wrong host": lambda: make.make("db", alternative("other.lockstep.test"), issuer=self.ca),
            "unknown CA": lambda: make.make(HOST, alternative(HOST), issuer=self.other_ca),
            "namesake CA": lambda: make.make(HOST, alternative(HOST), issuer=self.namesake_ca),
            "expired CA": lambda: make.make(HOST, alternative(HOST), issuer=self.expired_ca),
            "expired": lambda: make.make(HOST, alternative(HOST), issuer=self.ca, days=(-30, -1)),
            "not yet": lambda: make.make(HOST, alternative(HOST), issuer=self.ca, days=(1, 30)),
            "CN only": lambda: make.make(HOST, issuer=self.ca),
            "CN only, other": lambda: make.make("other.lockstep.test", issuer=self.ca),
            "CN and other name": lambda: make.make(HOST, alternative("other.lockstep.test"), issuer=self.ca),
            "CN and address": lambda: make.make(HOST, alternative("127.0.0.1"), issuer=self.ca),
            "CN is address": lambda: make.make("127.0.0.1", issuer=self.ca),
            "e-mail and CN": lambda: make.make(HOST, x509.RFC822Name("a@b.test"), issuer=self.ca),
            "address": lambda: make.make("db", alternative("127.0.0.1"), issuer=self.ca),
            "address as name": lambda: make.make("db", x509.DNSName("127.0.0.1"), issuer=self.ca),
            "other address": lambda: make.make("127.0.0.1", alternative("127.0.0.2"), issuer=self.ca),
            "wildcard": lambda: make.make("db", alternative("*.lockstep.test"), issuer=self.ca),
            "wildcard CN": lambda: make.make("*.lockstep.test", issuer=self.ca),
            "wildcard too high": lambda: make.make("db", alternative("*.test"), issuer=self.ca),
            "partial wildcard": lambda: make.make("db", alternative("d*.lockstep.test"), issuer=self.ca),
            "upper case": lambda: make.make("db", alternative(HOST.upper()), issuer=self.ca),
            "two names": lambda: make.make("db", alternative("a.test"), alternative(HOST), issuer=self.ca),
            "self-signed": lambda: make.make(HOST, alternative(HOST)),
            "self-signed CA": lambda: make.make(HOST, alternative(HOST), authority=True),
            "self-signed, expired": lambda: make.make(HOST, alternative(HOST), days=(-30, -1)),
            "self-signed, no CA": lambda: make.make(HOST, alternative(HOST), authority=False),
            "leaf signs": lambda: make.make(HOST, alternative(HOST), issuer=self.good),
            "chain": lambda: make.make(
                HOST, alternative(HOST), issuer=self.intermediate, chain=(self.intermediate.certificate,)
            ),
            "chain with a gap": lambda: make.make(HOST, alternative(HOST), issuer=self.intermediate),
            "for clients": lambda: make.make(HOST, alternative(HOST), issuer=self.ca, usage=[make.CLIENT]),
            "for servers": lambda: make.make(HOST, alternative(HOST), issuer=self.ca, usage=[make.SERVER]),
        }
        return makers[name]()


@dataclass
class Case:
    """One kind of server, and what the client brings along."""

    server: str = "good"
    hba: str = EVERYONE
    roots: str | None = "ca"
    """sslrootcert: "ca", "missing", "system", "home", "server" (its own certificate), …; None: not given."""
    host: dict[str, str | None] = field(default_factory=dict)
    client: str | None = None
    crl: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)


NAMED_BY_ADDRESS: dict[str, str | None] = {"host": "127.0.0.1", "hostaddr": None}
CERT = "hostssl all all 127.0.0.1/32 cert"
VERIFY = "hostssl all all 127.0.0.1/32 trust clientcert=verify-ca"

CASES = {
    **{
        name: Case(name)
        for name in (
            "good",
            "rsa",
            "none",
            "wrong host",
            "unknown CA",
            "namesake CA",
            "expired",
            "not yet",
            "CN only",
            "CN only, other",
            "CN and other name",
            "CN and address",
            "e-mail and CN",
            "wildcard",
            "wildcard CN",
            "wildcard too high",
            "partial wildcard",
            "upper case",
            "two names",
            "leaf signs",
            "chain",
            "chain with a gap",
            "for clients",
            "for servers",
        )
    },
    **{
        f"{name}, host is an address": Case(name, host=NAMED_BY_ADDRESS)
        for name in ("address", "address as name", "other address", "CN is address", "CN and address", "good")
    },
    "wildcard, host deeper": Case("wildcard", host={"host": "a.db.lockstep.test"}),
    "wildcard, host is its domain": Case("wildcard", host={"host": "lockstep.test"}),
    "host with a trailing dot": Case(host={"host": f"{HOST}."}),
    "host in capitals": Case(host={"host": HOST.upper()}),
    "hostaddr without host": Case(host={"host": None}),
    "hostaddr without host, address": Case("address", host={"host": None}),
    "self-signed is its own root": Case("self-signed", roots="server"),
    "self-signed, silent of CA, by a strange root": Case("self-signed"),
    "self-signed CA is its own root": Case("self-signed CA", roots="server"),
    "self-signed, no CA, is its own root": Case("self-signed, no CA", roots="server"),
    "self-signed and expired is its own root": Case("self-signed, expired", roots="server"),
    "a certificate by a CA as the root": Case("good", roots="server"),
    "an intermediate as the root": Case("chain", roots="intermediate"),
    "an intermediate as the root, gap": Case("chain with a gap", roots="intermediate"),
    "intermediate and root as roots, gap": Case("chain with a gap", roots="both"),
    "expired root": Case("expired CA", roots="expired CA"),
    "a good root behind an expired one": Case("good", roots="expired CA, ca"),
    "roots are garbage": Case(roots="garbage"),
    "roots are empty": Case(roots="empty"),
    "no root file given or there": Case(roots=None),
    "root file missing": Case(roots="missing"),
    "root in the home directory": Case(roots="home"),
    "root in the home directory, unknown CA": Case("unknown CA", roots="home"),
    "system's roots": Case(roots="system"),
    "system's roots, unknown CA": Case("unknown CA", roots="system"),
    "system's roots, wrong host": Case("wrong host", roots="system"),
    "hostssl only": Case(hba="hostssl all all 127.0.0.1/32 trust"),
    "hostssl only, unknown CA": Case("unknown CA", hba="hostssl all all 127.0.0.1/32 trust"),
    "hostssl only on a server without TLS": Case("none", hba="hostssl all all 127.0.0.1/32 trust"),
    "hostnossl only": Case(hba="hostnossl all all 127.0.0.1/32 trust"),
    "hostnossl only, unknown CA": Case("unknown CA", hba="hostnossl all all 127.0.0.1/32 trust"),
    "nobody": Case(hba="# nobody"),
    **{
        f"client certificate, {client}": Case(hba=CERT, client=client)
        for client in (
            "good",
            "good, in the home directory",
            "no key",
            "key of another",
            "readable by all",
            "readable by the group",
            "encrypted",
            "encrypted, wrong password",
            "encrypted, no password",
            "DER key",
            "EC key",
            "file missing",
            "garbage",
            "of another CA",
            "of another role",
        )
    },
    "client certificate required, none given": Case(hba=CERT),
    "client certificate not to be sent": Case(hba=CERT, client="good", extra={"sslcertmode": "disable"}),
    "client certificate verified": Case(hba=VERIFY, client="good"),
    "client certificate verified, of another role": Case(hba=VERIFY, client="of another role"),
    "client certificate unasked": Case(client="good"),
    "client certificate unasked, of another CA": Case(client="of another CA"),
    "revoked": Case(crl="revoked"),
    "not revoked": Case(crl="not revoked"),
    "revoked, list of another CA": Case(crl="other"),
    "revocation list expired": Case(crl="expired"),
    "revocation list garbage": Case(crl="garbage"),
    "revocation list missing": Case(crl="missing"),
    "revocation list in the home directory": Case(crl="home"),
    "revocation list by openssl": Case(crl="by openssl"),
    "revoked in a list by openssl": Case(crl="by openssl, revoked"),
    "revocation lists in an empty directory": Case(crl="empty directory"),
    "revocation lists in a directory": Case(crl="directory"),
    "revoked in a directory": Case(crl="directory, revoked"),
    "revocation lists for a chain": Case("chain", crl="both"),
    "revocation list for half of a chain": Case("chain", crl="not revoked"),
    "self-signed with its own list": Case("self-signed CA", roots="server", crl="own"),
    "self-signed with a list": Case("self-signed", roots="server", crl="not revoked"),
    "TLS 1.3 at least, server up to 1.2": Case(
        settings={"ssl_max_protocol_version": "TLSv1.2"}, extra={"ssl_min_protocol_version": "TLSv1.3"}
    ),
    "TLS 1.2 at most, server from 1.3": Case(
        settings={"ssl_min_protocol_version": "TLSv1.3"}, extra={"ssl_max_protocol_version": "TLSv1.2"}
    ),
    "TLS 1.2 at most": Case(extra={"ssl_max_protocol_version": "TLSv1.2"}),
    "TLS 1.3 at least": Case(extra={"ssl_min_protocol_version": "TLSv1.3"}),
    "no server name sent": Case(extra={"sslsni": "0"}),
}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    before = NothingLeftHere()
    with TlsServer() as server:
        yield server
    before.check()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without any of libpq's files, and an environment without its variables."""
    for name in os.environ:
        if name.startswith(("PG", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    return tmp_path


def file(folder: Path, name: str, content: bytes, mode: int = 0o600) -> str:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def prepared(
    case: Case, server: TlsServer, pki: Pki, home: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Configure the server for the case; return the client's parameters."""
    served = _served(pki, case.server)
    server.configure(
        served, hba=case.hba, clients=pki.ca.pem if "cert" in case.hba else b"", settings=case.settings
    )
    parameters: dict[str, Any] = {**case.host, **case.extra, **_client(case.client, pki, home)}
    monkeypatch.setenv("SSL_CERT_FILE", file(home, "system.crt", pki.ca.pem))
    roots: dict[str, Callable[[], bytes]] = {
        "ca": lambda: pki.ca.pem,
        "server": lambda: served.pem if served else b"",
        "intermediate": lambda: pki.intermediate.pem,
        "both": lambda: pki.intermediate.pem + pki.ca.pem,
        "expired CA": lambda: pki.expired_ca.pem,
        "expired CA, ca": lambda: pki.expired_ca.pem + pki.ca.pem,
        "garbage": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "empty": lambda: b"",
    }
    match case.roots:
        case None:
            pass
        case "home":
            file(home, ".postgresql/root.crt", pki.ca.pem)
        case "missing":
            parameters["sslrootcert"] = str(home / "missing.crt")
        case "system":
            parameters["sslrootcert"] = "system"
        case name:
            parameters["sslrootcert"] = file(home, "roots.crt", roots[name]())
    lists: dict[str, Callable[[], bytes]] = {
        "revoked": lambda: make.revocation_list(pki.ca, _certificate(pki, case.server)),
        "not revoked": lambda: make.revocation_list(pki.ca),
        "other": lambda: make.revocation_list(pki.other_ca),
        "expired": lambda: make.revocation_list(pki.ca, days=(-30, -1)),
        "garbage": lambda: b"garbage",
        "both": lambda: make.revocation_list(pki.ca) + make.revocation_list(pki.intermediate),
        "own": lambda: make.revocation_list(_certificate(pki, case.server)),
        "by openssl": lambda: by_openssl(home, pki.ca),
        "by openssl, revoked": lambda: by_openssl(home, pki.ca, _certificate(pki, case.server)),
    }
    match case.crl:
        case None:
            pass
        case "empty directory" | "directory" | "directory, revoked":
            (home / "lists").mkdir()
            parameters["sslcrldir"] = str(home / "lists")
            if case.crl != "empty directory":
                content = lists["revoked" if "revoked" in case.crl else "not revoked"]()
                command = ["openssl", "crl", "-hash", "-noout"]
                name = subprocess.check_output(command, input=content).decode().strip()
                file(home, f"lists/{name}.r0", content)
        case "home":
            file(home, ".postgresql/root.crl", lists["revoked"]())
        case "missing":
            parameters["sslcrl"] = str(home / "missing.crl")
        case name:
            parameters["sslcrl"] = file(home, "root.crl", lists[name]())
    return parameters


def by_openssl(folder: Path, issuer: Certificate, *revoked: Certificate) -> bytes:
    """Return a revocation list as ``openssl ca -gencrl`` writes it: version 1, without extensions."""
    entries = []
    for each in revoked:
        serial = each.certificate.serial_number.to_bytes(20, "big").hex().upper()
        entries.append(f"R\t301231235959Z\t260101000000Z\t{serial}\tunknown\t/CN=x\n")
    file(folder, "index.txt", "".join(entries).encode())
    config = f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index.txt\ndefault_md=sha256\ndefault_crl_days=30\n"
    paths = [
        file(folder, name, content)
        for name, content in (
            ("ca.cnf", config.encode()),
            ("ca.crt", issuer.pem),
            ("ca.key", issuer.key_pem()),
        )
    ]
    command = ["openssl", "ca", "-gencrl", "-config", paths[0], "-cert", paths[1], "-keyfile", paths[2]]
    return subprocess.check_output(command, stderr=subprocess.DEVNULL)


_made: dict[str, Certificate | None] = {}


def _served(pki: Pki, name: str) -> Certificate | None:
    if name not in _made:
        _made[name] = pki.server(name)
    return _made[name]


def _certificate(pki: Pki, name: str) -> Certificate:
    served = _served(pki, name)
    assert served is not None
    return served


def _client(name: str | None, pki: Pki, home: Path) -> dict[str, str]:
    if name is None:
        return {}
    client, password, mode = pki.client, None, 0o600
    content = None
    given = {"sslcert": "client.crt", "sslkey": "client.key"}
    parameters: dict[str, str] = {}
    match name:
        case "good, in the home directory":
            file(home, ".postgresql/postgresql.crt", client.pem)
            file(home, ".postgresql/postgresql.key", client.key_pem())
            return {}
        case "no key":
            return {"sslcert": file(home, "client.crt", client.pem), "sslkey": str(home / "missing.key")}
        case "key of another":
            content = pki.good.key_pem()
        case "readable by all":
            mode = 0o644
        case "readable by the group":
            mode = 0o640
        case "encrypted":
            content = client.key_pem(SECRET)
            parameters["sslpassword"] = SECRET
        case "encrypted, wrong password":
            content = client.key_pem(SECRET)
            parameters["sslpassword"] = "wrong"
        case "encrypted, no password":
            content = client.key_pem(SECRET)
            parameters["sslpassword"] = ""
        case "DER key":
            content = client.key_der()
        case "EC key":
            content = client.key_pem(traditional=True)
        case "file missing":
            return {"sslcert": str(home / "missing.crt"), "sslkey": str(home / "missing.key")}
        case "garbage":
            return {
                "sslcert": file(home, "client.crt", b"garbage"),
                "sslkey": file(home, "client.key", b"garbage"),
            }
        case "of another CA":
            client = make.make("postgres", issuer=pki.other_ca)
        case "of another role":
            client = make.make("somebody", issuer=pki.ca)
    parameters["sslcert"] = file(home, given["sslcert"], client.pem)
    parameters["sslkey"] = file(home, given["sslkey"], content or client.key_pem(password), mode)
    return parameters


class _Seen(Exception):
    pass


def ours(dsn: str, server: TlsServer) -> str:
    """Return "plain" or "TLS" as the server sees it, or "refused"."""
    seen: list[str] = []

    def look(_: object) -> None:
        rows = server.witness.execute(
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name LIKE 'lockstep%' AND backend_type = 'client backend'"
        ).fetchall()
        seen.extend("TLS" if ssl else "plain" for (ssl,) in rows)
        raise _Seen

    nothing_left(server.witness)  # of the time before
    try:
        simulate_deadlock(dsn, lock="advisory", on_start=look)
    except _Seen:
        (way,) = seen
        return way
    except ConnectionFailed as error:
        return f"refused: {error}"
    raise AssertionError


def theirs(dsn: str) -> str:
    """Return the same of psycopg."""
    try:
        with psycopg.connect(dsn) as connection:
            return "TLS" if connection.pgconn.ssl_in_use else "plain"
    except psycopg.OperationalError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("name", CASES)
def test_same_accept_or_refuse_as_psycopg(
    name: str, server: TlsServer, pki: Pki, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = prepared(CASES[name], server, pki, home, monkeypatch)
    verdicts = {}
    for mode in MODES:
        dsn = server.dsn(sslmode=mode, **parameters)
        verdicts[mode] = (theirs(dsn), ours(dsn, server))
    nothing_left(server.witness)
    assert SECRET not in str(verdicts)
    unlike = {mode: pair for mode, pair in verdicts.items() if pair[0].split(":")[0] != pair[1].split(":")[0]}
    assert not unlike, "\n".join(f"{mode}: psycopg {a}\n    ours: {b}" for mode, (a, b) in unlike.items())
