"""TLS: one context per trust setting, and a failed handshake or a certificate in plain values."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from portal.smtp.causes import Cause

# OpenSSL's X509_V_ERR numbers.
_UNTIMELY = {9, 10}
_WRONG_NAME = {62, 63, 64}
_LONGEST_LINE = 500
_PLAIN_TEXT = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH")
_OLD = (
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS",
    "PROTOCOL_VERSION",
    "WRONG_SSL_VERSION",
    "HANDSHAKE_FAILURE",
    "VERSION_TOO_LOW",
)


@dataclass(frozen=True)
class Tls:
    """How a connection is protected. `verified`: against the name, up to a trusted authority.

    The certificate's fields are None or empty where it could not be read.
    """

    version: str
    cipher: str
    verified: bool
    subject: str | None = None
    issuer: str | None = None
    sans: tuple[str, ...] = ()
    not_after: datetime | None = None


class UnreadableAuthority(ValueError):
    """The pasted certificate authority is not a PEM certificate."""


@lru_cache(maxsize=64)
def context_for(*, verify: bool, ca: str | None) -> ssl.SSLContext:
    """The client context of one trust setting: TLS 1.2 or newer, names checked if `verify`.

    `ca` (PEM) is trusted beside the system's authorities. Making one costs some 20 ms, so they
    are kept. Raises UnreadableAuthority.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The same rules on every Python: 3.13 turned both flags on by default. Company authorities
    # often miss what the strict one asks for; a pasted certificate may be the server's own.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca:
        _trust(context, ca)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_of(connection: ssl.SSLSocket | ssl.SSLObject, *, verified: bool) -> Tls:
    """What was agreed on a connection whose handshake is done."""
    cipher = connection.cipher()
    version, name = connection.version() or "", cipher[0] if cipher else ""
    der = connection.getpeercert(binary_form=True)
    try:
        certificate = x509.load_der_x509_certificate(der or b"")
        return Tls(
            version,
            name,
            verified,
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            sans=_names(certificate),
            not_after=certificate.not_valid_after_utc,
        )
    except (ValueError, TypeError):
        return Tls(version, name, verified)


def cause_of_tls(problem: OSError) -> Cause:
    """Why a handshake failed."""
    if isinstance(problem, TimeoutError):
        return Cause.TIMEOUT
    if isinstance(problem, ssl.SSLCertVerificationError):
        if problem.verify_code in _UNTIMELY:
            return Cause.TLS_EXPIRED
        wrong_name = problem.verify_code in _WRONG_NAME
        return Cause.TLS_WRONG_NAME if wrong_name else Cause.TLS_UNTRUSTED
    reason = (problem.reason or "") if isinstance(problem, ssl.SSLError) else ""
    if any(word in reason for word in _PLAIN_TEXT):
        return Cause.TLS_WRONG_VERSION
    if any(word in reason for word in _OLD):
        return Cause.TLS_OLD_PROTOCOL
    return Cause.TLS_FAILED


def ended(authorities: str, at: datetime) -> list[str]:
    """Those of the pasted certificates (PEM) that were over by then, each in a line."""
    try:
        found = x509.load_pem_x509_certificates(authorities.encode("ascii", "ignore"))
    except ValueError:
        return []
    return [_ended(one) for one in found if one.not_valid_after_utc <= at]


def describe(tls: Tls) -> str:
    """A certificate in a line: subject, names, end and issuer."""
    parts = [f"certificate for {tls.subject or 'no name'}"]
    if tls.sans:
        parts.append(f"names {', '.join(tls.sans[:10])}")
    if tls.not_after:
        parts.append(f"valid until {tls.not_after:%Y-%m-%d}")
    if tls.issuer:
        parts.append(f"issued by {tls.issuer}")
    return _clean("; ".join(parts))


def _ended(authority: x509.Certificate) -> str:
    name = _name(authority.subject) or "no name"
    return _clean(f"CA certificate {name}; ended {authority.not_valid_after_utc:%Y-%m-%d}")


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)[:_LONGEST_LINE]


def _trust(context: ssl.SSLContext, ca: str) -> None:
    try:
        # Text between the blocks is a comment, in whatever language.
        context.load_verify_locations(cadata=ca.encode("ascii", "ignore").decode())
    except (ssl.SSLError, ValueError) as problem:
        raise UnreadableAuthority("the certificate authority is not a PEM certificate") from problem


def _name(name: x509.Name) -> str | None:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME):
        if found := name.get_attributes_for_oid(kind):
            return str(found[0].value)
    return name.rfc4514_string() or None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        kind = x509.SubjectAlternativeName
        alternatives = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        str(entry.value)
        for entry in alternatives
        if isinstance(entry, x509.DNSName | x509.IPAddress)
    )
