"""Refresh tokens that were replaced by the token endpoint (RFC 6749, 6): the newest is kept.

A stored one is sealed again into the same version. One that was only typed into a test lies for
30 minutes in a row of its own, under the name of what was typed, so that Save stores the newest.
"""

import uuid
from datetime import timedelta

from sqlalchemy import delete, select

from portal import keys
from portal.clock import utcnow
from portal.extensions import db
from portal.settings import binding
from portal.settings.binding import Part
from portal.settings.models import RotatedToken, Sender, SenderVersion, VersionState
from portal.settings.scope import Scope
from portal.settings.sender_rules import VALUE_KEYS, SenderValues

_LASTS = timedelta(minutes=30)


def store(version_id: uuid.UUID, old: str, new: str) -> None:
    """Put the new token in place of the old one, in the version that it was taken from and in
    the other ones of the sender that share it and its destination. The caller commits."""
    version = db.session.get(SenderVersion, version_id)
    if version is None:
        return  # the sender was deleted meanwhile
    sender = db.session.scalars(
        select(Sender)
        .where(Sender.id == version.sender_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    scope = Scope(sender.organization_id)
    place = binding.destination(scope, _values(version))
    for other in sender.versions:
        values = _values(other)
        if other.state is VersionState.RETIRED or other.refresh_token is None:
            continue
        if binding.destination(scope, values) == place and _token(scope, other, values) == old:
            other.refresh_token = binding.seal(
                new, scope=scope, sender_id=sender.id, values=values, part=Part.REFRESH_TOKEN
            )


def note(scope: Scope, values: SenderValues, given: str, new: str) -> None:
    """Remember the newest token of values that are not saved. The caller commits."""
    key = _key(scope, values, given)
    mine = (RotatedToken.scope == scope.key) & (RotatedToken.key == key)
    old = (RotatedToken.expires_at <= utcnow()) | mine
    db.session.execute(delete(RotatedToken).where(old))
    sealed = keys.vault().seal(new, context=_context(scope, values, given))
    expires_at = utcnow() + _LASTS
    db.session.add(RotatedToken(scope=scope.key, key=key, sealed=sealed, expires_at=expires_at))


def newest(scope: Scope, values: SenderValues, token: str, given: str) -> str:
    """The token that took the place of a typed one at this very destination, else itself."""
    sealed = db.session.scalar(
        select(RotatedToken.sealed).where(
            RotatedToken.scope == scope.key,
            RotatedToken.key == _key(scope, values, given),
            RotatedToken.expires_at > utcnow(),
        )
    )
    return keys.vault().open(sealed, context=_context(scope, values, given)) if sealed else token


def _values(version: SenderVersion) -> SenderValues:
    return SenderValues(**{key: getattr(version, key) for key in VALUE_KEYS})


def _token(scope: Scope, version: SenderVersion, values: SenderValues) -> str:
    return binding.unseal(
        version.refresh_token or "",
        scope=scope,
        sender_id=version.sender_id,
        values=values,
        part=Part.REFRESH_TOKEN,
    )


def _key(scope: Scope, values: SenderValues, given: str) -> str:
    return binding.keyed(["rotated", *binding.destination(scope, values), given])


def _context(scope: Scope, values: SenderValues, given: str) -> tuple[str, ...]:
    return ("rotated token", given, *binding.destination(scope, values))
