"""Certificates of our own making."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.datetime.now(tz=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@dataclass
class Certificate:
    """A certificate with its private key, and the certificates that lead from it to its root."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and the intermediate ones."""
        return self.pem + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.chain)

    def key_pem(self, password: str | None = None, *, traditional: bool = False) -> bytes:
        """Return the private key, encrypted if there is a password."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL
            if traditional
            else serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption(),
        )

    def key_der(self) -> bytes:
        """Return the private key in DER."""
        return self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def alternative(name: str) -> x509.GeneralName:
    """Return a subject alternative name: an address's if it is one."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make(
    common: str,
    *alternatives: x509.GeneralName,
    issuer: Certificate | None = None,
    days: tuple[int, int] = (-1, 365),
    authority: bool | None = None,
    usage: Sequence[x509.ObjectIdentifier] = (),
    key: PrivateKey | None = None,
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    chain: tuple[x509.Certificate, ...] = (),
) -> Certificate:
    """Make a certificate: signed by ``issuer`` or by itself; ``authority``: may it sign others (None: silent)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(issuer.certificate.subject if issuer else _name(common))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if authority is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=authority, path_length=None), critical=authority
        )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    signed = builder.sign(issuer.key if issuer else key, digest or hashes.SHA256())
    return Certificate(signed, key, chain)


def revocation_list(issuer: Certificate, *revoked: Certificate, days: tuple[int, int] = (-1, 30)) -> bytes:
    """Return the issuer's revocation list as PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW + days[0] * DAY)
        .next_update(NOW + days[1] * DAY)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
