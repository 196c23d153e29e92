"""``sslnegotiation=direct``, which servers have since version 17: TLS at once, with the protocol's name in ALPN.

The embedded server has no TLS and Debian's is older, so a proxy that ends TLS stands before the embedded one. Its
handshake is OpenSSL's, and psycopg must get on with it as we do.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import certificates as make
import psycopg
import pytest
from certificates import alternative
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tls_server import HOST, TlsServer
from witness import FAST, At, NothingLeftHere, nothing_left

from django_lockstep import simulate_deadlock
from django_lockstep.exceptions import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from witness import Connection

pytestmark = pytest.mark.skipif(
    psycopg.pq.version() < 170000, reason="needs libpq 17 or later to compare with"
)


class Proxy:
    """Ends TLS on a port of the loopback and passes on to a Unix socket; keeps how each connection began."""

    def __init__(self, server_dsn: str, context: ssl.SSLContext) -> None:
        parts = conninfo_to_dict(server_dsn)
        self.behind = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
        self.parts = parts
        self.context = context
        self.protocols: list[str | None] = []
        self.threads: list[threading.Thread] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._start(self._accept)

    def dsn(self, **parameters: str) -> str:
        given = {
            "user": str(self.parts["user"]),
            "dbname": str(self.parts["dbname"]),
            "sslnegotiation": "direct",
        }
        return make_conninfo(host=HOST, hostaddr="127.0.0.1", port=self.port, **(given | parameters))

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                self._start(self._serve, self.listener.accept()[0])

    def _serve(self, plain: socket.socket) -> None:
        with (
            suppress(OSError),
            plain,
            self.context.wrap_socket(plain, server_side=True) as client,
            socket.socket(socket.AF_UNIX) as server,
        ):
            self.protocols.append(client.selected_alpn_protocol())
            server.connect(self.behind)
            while True:  # in one thread: OpenSSL's connections are not for two
                ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (server if end is client else client).sendall(data)


@contextmanager
def proxied(server_dsn: str, folder: Path, protocols: list[str] | None) -> Iterator[Proxy]:
    ca = make.make("Lockstep Test CA", authority=True)
    served = make.make(HOST, alternative(HOST), issuer=ca)
    (folder / "root.crt").write_bytes(ca.pem)
    (folder / "server.pem").write_bytes(served.pem + served.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    if protocols is not None:
        context.set_alpn_protocols(protocols)
    proxy = Proxy(server_dsn, context)
    try:
        yield proxy
    finally:
        proxy.stop()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("PG", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def theirs(dsn: str) -> bool:
    try:
        with closing(psycopg.connect(dsn)) as connection:
            return bool(connection.pgconn.ssl_in_use)
    except psycopg.OperationalError:
        return False


def ours(dsn: str) -> bool:
    try:
        return simulate_deadlock(dsn, deadlock_timeout=FAST).deadlocked
    except ConnectionFailed:
        return False


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_the_whole_job(mode: str, dsn: str, home: Path) -> None:
    before = NothingLeftHere()
    with proxied(dsn, home, ["postgresql"]) as proxy:
        direct = proxy.dsn(sslmode=mode, sslrootcert=str(home / "root.crt"))
        assert theirs(direct)
        assert ours(direct)
        assert set(proxy.protocols) == {"postgresql"}
    before.check()


def test_cancelling(dsn: str, home: Path, witness: Connection) -> None:
    with proxied(dsn, home, ["postgresql"]) as proxy:

        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            simulate_deadlock(
                proxy.dsn(sslmode="require"), deadlock_timeout=600, on_event=At("waiting", interrupt)
            )
        nothing_left(witness)
        assert set(proxy.protocols) == {"postgresql"}, "a cancel request begins as the connection did"


@pytest.mark.parametrize("protocols", [None, ["http/1.1"]])
def test_a_server_that_does_not_speak_the_protocol(protocols: list[str] | None, dsn: str, home: Path) -> None:
    with proxied(dsn, home, protocols) as proxy:
        direct = proxy.dsn(sslmode="require")
        assert (ours(direct), theirs(direct)) == (False, False)


def test_a_certificate_that_is_not_trusted(dsn: str, home: Path) -> None:
    with proxied(dsn, home, ["postgresql"]) as proxy:
        (home / "root.crt").write_bytes(make.make("Another CA", authority=True).pem)
        direct = proxy.dsn(sslmode="verify-full", sslrootcert=str(home / "root.crt"))
        assert (ours(direct), theirs(direct)) == (False, False)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_mode_that_is_too_weak(mode: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="weak sslmode"):
        psycopg.connect(f"host=x hostaddr=127.0.0.1 sslnegotiation=direct sslmode={mode}")
    with pytest.raises(ConnectionFailed, match=r"[Ww]eak sslmode"):
        simulate_deadlock(f"host=x hostaddr=127.0.0.1 sslnegotiation=direct sslmode={mode}")


def test_a_server_of_before_17() -> None:
    ca = make.make("Lockstep Test CA", authority=True)
    with TlsServer() as server:
        if server.witness.info.server_version >= 170000:
            pytest.skip("this server has direct negotiation")
        server.configure(make.make(HOST, alternative(HOST), issuer=ca))
        direct = server.dsn(sslmode="require", sslnegotiation="direct")
        assert (ours(direct), theirs(direct)) == (False, False)
