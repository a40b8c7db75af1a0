"""A secret is bound to its destination: it can be opened for the server it was given for, only.

The binding is part of the cipher's associated data, so neither a changed row nor a ciphertext
moved to another row opens. `digest` names a bundle that has passed its test.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from enum import StrEnum

from flask import current_app

from portal import keys
from portal.settings import oauth2_rules
from portal.settings.scope import Scope
from portal.settings.sender_rules import SenderValues


class Part(StrEnum):
    """Which secret of a sender it is; one never opens in place of another."""

    SECRET = "secret"
    REFRESH_TOKEN = "refresh token"


def destination(scope: Scope, values: SenderValues) -> tuple[str, ...]:
    """Everything that decides where a secret goes, normalised, defaults filled in."""
    url = values.token_url_or_default
    return (
        scope.key,
        values.server.rstrip(".").lower(),
        str(values.port),
        values.encryption.value,
        "verify" if values.verify else "any certificate",
        hashlib.sha256((values.ca or "").encode()).hexdigest(),
        values.authentication.value,
        values.login_name,
        oauth2_rules.normal(url) if url else "",
        values.client_id or "",
        values.scope_or_default or "",
    )


def seal(
    secret: str,
    *,
    scope: Scope,
    sender_id: uuid.UUID,
    values: SenderValues,
    part: Part = Part.SECRET,
) -> str:
    """Encrypt a secret for this destination."""
    return keys.vault().seal(secret, context=_context(scope, sender_id, values, part))


def unseal(
    sealed: str,
    *,
    scope: Scope,
    sender_id: uuid.UUID,
    values: SenderValues,
    part: Part = Part.SECRET,
) -> str:
    """Decrypt a secret. Raises VaultError when the destination is not the one it was given for."""
    return keys.vault().open(sealed, context=_context(scope, sender_id, values, part))


def digest(
    scope: Scope, values: SenderValues, secret: str | None, given_token: str | None = None
) -> str:
    """A name for exactly this bundle, keyed so that it says nothing of the secret.

    `given_token` is what `given` says of the refresh token: the pass of a test survives the
    tokens that take its place.
    """
    return keyed(
        [
            *destination(scope, values),
            values.from_address,
            values.envelope_sender or "",
            values.ehlo_name or "",
            secret or "",
            given_token or "",
        ]
    )


def given(scope: Scope, refresh_token: str) -> str:
    """A name for a refresh token as a person gave it, that says nothing of it."""
    return keyed([scope.key, Part.REFRESH_TOKEN.value, refresh_token])


def keyed(parts: Sequence[str]) -> str:
    """A digest that only this installation can make."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _context(
    scope: Scope, sender_id: uuid.UUID, values: SenderValues, part: Part
) -> tuple[str, ...]:
    return (scope.key, str(sender_id), part.value, *destination(scope, values))
