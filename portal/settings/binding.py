"""A secret is bound to its destination: it can be opened for the server it was given for, only.

The binding is part of the cipher's associated data, so neither a changed row nor a ciphertext
moved to another row opens. `digest` names a bundle that has passed its test.
"""

import hashlib
import hmac
import json
import uuid

from flask import current_app

from portal import keys
from portal.settings.scope import Scope
from portal.settings.sender_rules import SenderValues


def destination(scope: Scope, values: SenderValues) -> tuple[str, ...]:
    """Everything that decides where a secret goes, normalised, defaults filled in."""
    return (
        scope.key,
        values.server.rstrip(".").lower(),
        str(values.port),
        values.encryption.value,
        "verify" if values.verify else "any certificate",
        hashlib.sha256((values.ca or "").encode()).hexdigest(),
        values.authentication.value,
        values.login_name,
    )


def seal(secret: str, *, scope: Scope, sender_id: uuid.UUID, values: SenderValues) -> str:
    """Encrypt a secret for this destination."""
    return keys.vault().seal(secret, context=_context(scope, sender_id, values))


def unseal(sealed: str, *, scope: Scope, sender_id: uuid.UUID, values: SenderValues) -> str:
    """Decrypt a secret. Raises VaultError when the destination is not the one it was given for."""
    return keys.vault().open(sealed, context=_context(scope, sender_id, values))


def digest(scope: Scope, values: SenderValues, secret: str | None) -> str:
    """A name for exactly this bundle, keyed so that it says nothing of the secret."""
    parts = [
        *destination(scope, values),
        values.from_address,
        values.envelope_sender or "",
        values.ehlo_name or "",
        secret or "",
    ]
    key = str(current_app.secret_key).encode()
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _context(scope: Scope, sender_id: uuid.UUID, values: SenderValues) -> tuple[str, ...]:
    return (scope.key, str(sender_id), "secret", *destination(scope, values))
