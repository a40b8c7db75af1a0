"""An OAuth2 sender against a token endpoint and an SMTP server, both on real sockets."""

import traceback
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.destinations import AllowedDestinations, OrganizationGuard
from portal.smtp.oauth2 import access_token
from portal.smtp.values import Authentication, Bundle, Encryption, Failure, SessionFailed
from tests.smtp_client import USER
from tests.token_server import TokenServer

CLIENT, SECRET = "portal-client", "canary+secret/of the client"
CLIENTS = {CLIENT: SECRET}
ACCOUNT = "portal@project.iam.acme.test"


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def private_pem() -> str:
    return (
        private_key()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def guard_for(*ports: int, network: str = "127.0.0.1", name: str = "127.0.0.1") -> Any:
    """An organization's guard that opens these ports of `network`; every name is at `name`."""
    opened = [f"{network}:{','.join(str(port) for port in ports)}"] if ports else []
    return OrganizationGuard(AllowedDestinations.parse(opened), lambda host, port: [name])


def sender(tokens: TokenServer, **changes: Any) -> Bundle:
    """A sender by client credentials that fits the token endpoint."""
    values: dict[str, Any] = {
        "owner": "host",
        "name": "default",
        "from_address": USER,
        "display_name": "Acme portal",
        "server": "smtp.acme.test",
        "port": 587,
        "encryption": Encryption.TLS,
        "ca": tokens.ca,
        "authentication": Authentication.OAUTH2_CLIENT_CREDENTIALS,
        "client_id": CLIENT,
        "secret": SECRET,
        "token_url": tokens.url,
        "connect_timeout": 3.0,
        "command_timeout": 3.0,
    }
    return Bundle(**values | changes)


def by_service_account(tokens: TokenServer, **changes: Any) -> Bundle:
    kind = Authentication.OAUTH2_SERVICE_ACCOUNT
    values = {"authentication": kind, "client_id": ACCOUNT, "secret": private_pem()}
    return sender(tokens, **values | changes)


def by_refresh_token(tokens: TokenServer, **changes: Any) -> Bundle:
    kind = Authentication.OAUTH2_REFRESH_TOKEN
    return sender(tokens, **{"authentication": kind, "refresh_token": "refresh-token-0"} | changes)


def token_of(bundle: Bundle, tokens: TokenServer, **more: Any) -> str:
    return access_token(bundle, guard=guard_for(tokens.port), **more)


def refusal_of(bundle: Bundle, guard: Any) -> Failure:
    """Why no token is had; fails the test where one is, or where the failure tells a secret."""
    with pytest.raises(SessionFailed) as raised:
        access_token(bundle, guard=guard)
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value.failure)
    for secret in (bundle.secret, bundle.refresh_token):
        assert not secret or secret not in told
    return raised.value.failure
