"""Certificates for the scripted SMTP server: one good, and each kind of bad."""

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1", "smtp.acme.test")
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Certificate:
    """A server certificate with its key (PEM), and the authority (PEM) that it claims."""

    chain: bytes
    ca: str

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "chain.pem"
            file.write_bytes(self.chain)
            context.load_cert_chain(file)
        return context


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def authority_pem() -> str:
    return authority().cert_pem.bytes().decode()


@cache
def valid() -> Certificate:
    return _issued(authority(), *NAMES)


@cache
def expired() -> Certificate:
    return _issued(authority(), *NAMES, not_after=NOW - timedelta(days=3))


@cache
def wrong_name() -> Certificate:
    return _issued(authority(), "mail.other.test")


@cache
def unknown_authority() -> Certificate:
    """Good in itself, but by an authority that nobody was told of; `ca` is the known one."""
    return _issued(trustme.CA(), *NAMES)


@cache
def self_signed() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _common_name("smtp.acme.test")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in NAMES]), False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(_private(key) + _public(certificate), authority_pem())


@cache
def expired_authority() -> Certificate:
    """Good in itself, by an authority (`ca`) that is out of date."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _common_name("Old CA")
    begin = x509.CertificateBuilder().issuer_name(name).not_valid_before(NOW - timedelta(days=90))
    over = NOW - timedelta(days=3)
    ca = (
        begin.subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_after(over)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    own = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        begin.subject_name(_common_name("smtp.acme.test"))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in NAMES]), False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(_private(own) + _public(leaf), _public(ca).decode())


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _issued(by: trustme.CA, *names: str, not_after: datetime | None = None) -> Certificate:
    not_before = not_after - timedelta(days=30) if not_after else None
    leaf = by.issue_cert(*names, common_name=names[0], not_before=not_before, not_after=not_after)
    return Certificate(leaf.private_key_and_cert_chain_pem.bytes(), authority_pem())
