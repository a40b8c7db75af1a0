"""The vault: encrypts secrets with AES-256-GCM. Never logs, never shows a secret in an error.

A sealed value is text, `v1.<key id>.<base64 of nonce and ciphertext>`. Its context (owner, row,
field, destination) is authenticated with it: a value that was moved to another row, field or
destination does not open. NIST SP 800-38D; nonces are 96 random bits.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "v1"


class VaultError(Exception):
    """A sealed value cannot be opened: its key is missing, or it belongs somewhere else."""


class Vault:
    """Holds the keys in memory. The first key encrypts; every key decrypts."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        if not keys:
            raise VaultError("there is no encryption key")
        self._encrypting_id = keys[0][0]
        self._ciphers: Mapping[str, AESGCM] = {key_id: AESGCM(key) for key_id, key in keys}

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._ciphers)

    @property
    def encrypting_id(self) -> str:
        return self._encrypting_id

    def seal(self, secret: str, *, context: Sequence[str]) -> str:
        """Encrypt text. `context` lists what the value is bound to, in a fixed order."""
        nonce = os.urandom(12)
        key_id = self._encrypting_id
        sealed = self._ciphers[key_id].encrypt(nonce, secret.encode(), _associated(key_id, context))
        return f"{_VERSION}.{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, context: Sequence[str]) -> str:
        """Decrypt text. Raises VaultError without saying anything of the content."""
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.rpartition(".")
        cipher = self._ciphers.get(key_id)
        if version != _VERSION or cipher is None:
            raise VaultError(f"encryption key {key_id!r} is missing")
        try:
            raw = base64.urlsafe_b64decode(encoded)
            return cipher.decrypt(raw[:12], raw[12:], _associated(key_id, context)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise VaultError("a sealed value does not open in this place") from None


def new_key() -> tuple[str, str]:
    """A fresh key as (id, base64 of 32 bytes)."""
    return f"k{os.urandom(4).hex()}", base64.b64encode(os.urandom(32)).decode()


def decoded_key(encoded: str) -> bytes:
    """The 32 bytes of a key. Raises ValueError with one line."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    if len(key) != 32:
        raise ValueError(f"must be 32 bytes long, not {len(key)}")
    return key


def _associated(key_id: str, context: Sequence[str]) -> bytes:
    return json.dumps([_VERSION, key_id, *context], ensure_ascii=False).encode()
