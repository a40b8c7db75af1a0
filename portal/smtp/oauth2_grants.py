"""What a token endpoint is asked: one form for each grant. No network.

RFC 6749, 4.4 (client credentials) and 6 (refresh token); RFC 7523, 2.1 (a signed assertion, as a
Google service account makes it).
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from portal import clock
from portal.smtp.values import Authentication, Bundle

MICROSOFT_SCOPE = "https://outlook.office365.com/.default"
GOOGLE_SCOPE = "https://mail.google.com/"
# The longest life that Google allows an assertion, in seconds.
_ASSERTION_LASTS = 3600
_SHORTEST_MASKED = 16


class Incomplete(ValueError):
    """The bundle lacks what its grant needs; the text names it and holds no secret."""


@dataclass(frozen=True)
class ServiceAccount:
    """A private key with what the provider's key file says beside it."""

    key: rsa.RSAPrivateKey = field(repr=False)
    email: str | None = None
    key_id: str | None = None


def form_of(bundle: Bundle) -> dict[str, str]:
    """The fields of the request for this bundle's grant. Raises Incomplete."""
    match bundle.authentication:
        case Authentication.OAUTH2_CLIENT_CREDENTIALS:
            return _client_credentials(bundle)
        case Authentication.OAUTH2_SERVICE_ACCOUNT:
            return _assertion(bundle)
        case Authentication.OAUTH2_REFRESH_TOKEN:
            return _refresh(bundle)
        case _:
            raise Incomplete("the authentication is none of OAuth2")


def service_account(text: str) -> ServiceAccount:
    """From a private key (PEM) or Google's key file (JSON). Raises Incomplete."""
    if not text.lstrip().startswith("{"):
        return ServiceAccount(_private_key(text))
    try:
        file = json.loads(text)
    except (ValueError, RecursionError):
        file = None
    if not isinstance(file, dict) or not isinstance(file.get("private_key"), str):
        raise Incomplete("the key file holds no private key")
    email, key_id = file.get("client_email"), file.get("private_key_id")
    return ServiceAccount(
        _private_key(file["private_key"]),
        email if isinstance(email, str) else None,
        key_id if isinstance(key_id, str) else None,
    )


def secrets_of(bundle: Bundle, form: dict[str, str]) -> tuple[str, ...]:
    """Every form in which a secret goes out, longest first, to mask echoes of it."""
    hidden = {bundle.secret or "", bundle.refresh_token or ""}
    hidden |= {form.get(name, "") for name in ("client_secret", "assertion", "refresh_token")}
    lines = {line for text in hidden for line in text.split() if len(line) >= _SHORTEST_MASKED}
    spellings = {spelling for text in hidden | lines for spelling in (text, quote_plus(text))}
    return tuple(sorted(spellings - {""}, key=len, reverse=True))


def _client_credentials(bundle: Bundle) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": _needed(bundle.client_id, "the client id"),
        "client_secret": _needed(bundle.secret, "the client secret"),
        "scope": bundle.scope or MICROSOFT_SCOPE,
    }


def _refresh(bundle: Bundle) -> dict[str, str]:
    """The secret is left out where there is none: public clients have none (RFC 6749, 2.1)."""
    form = {
        "grant_type": "refresh_token",
        "client_id": _needed(bundle.client_id, "the client id"),
        "refresh_token": _needed(bundle.refresh_token, "the refresh token"),
    }
    if bundle.secret:
        form["client_secret"] = bundle.secret
    if bundle.scope:
        form["scope"] = bundle.scope
    return form


def _assertion(bundle: Bundle) -> dict[str, str]:
    account = service_account(_needed(bundle.secret, "the private key"))
    now = int(clock.utcnow().timestamp())
    claims = {
        "iss": _needed(bundle.client_id or account.email, "the service account's address"),
        "sub": bundle.login_name,
        "scope": bundle.scope or GOOGLE_SCOPE,
        "aud": _needed(bundle.token_url, "the token URL"),
        "iat": now,
        "exp": now + _ASSERTION_LASTS,
    }
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": _signed(claims, account),
    }


def _signed(claims: dict[str, Any], account: ServiceAccount) -> str:
    """A JWT (RFC 7519) by RS256."""
    header = {"alg": "RS256", "typ": "JWT"}
    if account.key_id:
        header["kid"] = account.key_id
    content = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    signature = account.key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{content}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _private_key(pem: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it wants a passphrase
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Incomplete("the private key cannot be read: an RSA key without passphrase is needed")
    return key


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise Incomplete(f"{name} is missing")
    return value
