"""The addresses that the host's senders use: no sender of an organization may send as one of them.

An organization that reaches the host's own relay would else write in the platform's name.
"""

from collections.abc import Iterable
from typing import Protocol

from sqlalchemy import select

from portal.extensions import db
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import HOST, Scope
from portal.validation import FieldError, address_key


class Addressed(Protocol):
    """What goes out under these addresses: values of a sender, or a stored version."""

    @property
    def from_address(self) -> str: ...

    @property
    def envelope_sender(self) -> str | None: ...


def errors_of(scope: Scope, uses: Addressed) -> list[FieldError]:
    """The refusal of each address in `uses` that is the host's; none in the host's own scope."""
    if scope.is_host:
        return []
    given = {"from_address": uses.from_address, "envelope_sender": uses.envelope_sender}
    taken = _used_by_host()
    return [
        _refusal(key, address)
        for key, address in given.items()
        if address and address_key(address) in taken
    ]


def errors_of_allowed(scope: Scope, entries: Iterable[str]) -> list[FieldError]:
    """The same for a list of addresses and @domains. A domain may be shared with the platform: it
    allows what other senders of the organization use, and none of them uses the host's address."""
    entries = () if scope.is_host else tuple(entries)
    taken = _used_by_host() if entries else ()
    return [_refusal("allowed_from", entry) for entry in entries if address_key(entry) in taken]


def _refusal(key: str, address: str) -> FieldError:
    return FieldError(key, f"{address} is the platform's own address. Enter one of your own.")


def _used_by_host() -> frozenset[str]:
    """From and envelope addresses of what sends, or waits for its test; folded."""
    versions = (
        select(SenderVersion.from_address, SenderVersion.envelope_sender)
        .join(Sender, SenderVersion.sender_id == Sender.id)
        .where(Sender.scope == HOST.key, SenderVersion.state != VersionState.RETIRED)
    )
    found = [address for row in db.session.execute(versions) for address in row]
    return frozenset(address_key(address) for address in found if address)
