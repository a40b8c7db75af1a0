"""The letter of a sending record as it was: composed again from what was stored, never with a
secret, and never at all for security mail."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, select

from portal.delivery import identity
from portal.delivery.models import Attempt, Delivery
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.letters import logo
from portal.letters.compose import BrokenLetter, Letter, compose
from portal.letters.words import LINK_REMOVED
from portal.settings import effective, logos
from portal.settings.models import Sender, SenderVersion
from portal.settings.scope import Scope


class NotShown(StrEnum):
    """Why there is no letter to look at."""

    SECURITY = "security"
    BROKEN = "broken"


@dataclass(frozen=True)
class From:
    """As whom the mail went, and which version of a sender carried it. `name` is today's."""

    name: str
    address: str
    version: SenderVersion


def letter_of(delivery: Delivery) -> Letter | NotShown:
    """The letter with its secrets as [link removed], or why it is not shown."""
    kind = BY_KEY.get(delivery.kind)
    if kind is None:
        return NotShown.BROKEN
    if kind.is_security:
        return NotShown.SECURITY
    try:
        return compose(
            kind,
            {**delivery.payload.data, **dict.fromkeys(kind.secrets, LINK_REMOVED)},
            identity=identity.of(_owner(delivery), kind),
            language=identity.known(delivery.language),
            timezone=delivery.timezone,
        )
    except BrokenLetter:
        return NotShown.BROKEN


def page_of(delivery: Delivery) -> str | NotShown:
    """The HTML of the letter as a page, which holds its logo itself."""
    letter = letter_of(delivery)
    if isinstance(letter, NotShown):
        return letter
    organization, kind = _owner(delivery), BY_KEY[delivery.kind]
    image = identity.of(organization, kind).logo
    content = logos.content_of(Scope.of(organization), image) if image else None
    if image is None or content is None:
        return letter.html
    return logo.in_page(letter.html, image, content)


def from_of(delivery: Delivery) -> From | None:
    """The From of the last attempt; None where nothing was tried or the sender is gone."""
    version = _version(delivery)
    if version is None:
        return None
    kind = BY_KEY.get(delivery.kind)
    writer = None if kind is None or kind.is_security else _owner(delivery)
    bore = _bore(delivery, version)
    if bore is None:
        return None
    name, _ = effective.as_whom(Scope(version.organization_id), bore, writer)
    return From(name, bore.from_address, version)


def _bore(delivery: Delivery, carried_by: SenderVersion) -> SenderVersion | None:
    """The version whose From the last attempt bore; None where that sender is gone."""
    last = _last(delivery)
    if last is None or last.from_version_id is None:
        return carried_by
    bore = db.session.get(SenderVersion, last.from_version_id)
    is_of_scope = bore is not None and bore.organization_id == carried_by.organization_id
    return bore if is_of_scope else None


def _last(delivery: Delivery) -> Attempt | None:
    return max(delivery.attempts, key=lambda one: one.number, default=None)


def _version(delivery: Delivery) -> SenderVersion | None:
    last = _last(delivery)
    _, slash, number = ((last.sender_version or "") if last else "").rpartition("/")
    if not slash or not number.isdecimal() or delivery.sender_id is None:
        return None
    return db.session.scalar(
        select(SenderVersion)
        .join(Sender, Sender.id == SenderVersion.sender_id)
        .where(
            SenderVersion.sender_id == delivery.sender_id,
            SenderVersion.number == int(number),
            # Of the organization itself or of the host, never of somebody else.
            _owned_by(delivery.organization_id),
        )
    )


def _owned_by(organization_id: uuid.UUID | None) -> ColumnElement[bool]:
    if organization_id is None:
        return Sender.organization_id.is_(None)
    return Sender.organization_id.is_(None) | (Sender.organization_id == organization_id)


def _owner(delivery: Delivery) -> Organization | None:
    if delivery.organization_id is None:
        return None
    return db.session.get(Organization, delivery.organization_id)
