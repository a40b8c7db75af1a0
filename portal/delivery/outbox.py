"""The outbox: a notification becomes deliveries in the transaction of the business change."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from portal import jobs, keys
from portal.clock import new_id, utcnow
from portal.delivery import identity, suppressions
from portal.delivery.models import Delivery, DeliverySecret, Level, Payload, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Kind
from portal.letters.compose import BrokenLetter, compose
from portal.letters.words import LINK_REMOVED
from portal.settings import effective
from portal.settings.effective import NoSender, NoSenderReason, Origin, Resolved
from portal.settings.mail_rules import LANGUAGES
from portal.smtp.headers import UnsafeMessage, unstructured
from portal.smtp.message import make_message_id
from portal.validation import Invalid
from portal.vault import VaultError

# Approvals live until they are decided or expire; nothing waits longer than this.
_UNTIL_DECIDED = timedelta(days=30)
EXTERNAL = "external_recipient"
SECRET_DOES_NOT_OPEN = "secret_does_not_open"


@dataclass(frozen=True)
class Addressee:
    """One recipient. `user_id` None is an address outside the organization.

    `secrets` are variables of this one letter; they are stored sealed, until it was accepted.
    """

    address: str
    user_id: uuid.UUID | None = None
    language: str | None = None
    timezone: str = "UTC"
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Start:
    """How a new delivery begins: its state with the reason, and the sender as far as known."""

    state: State
    reason: str | None
    from_address: str | None


def enqueue(
    organization: Organization | None,
    kind: Kind,
    *,
    data: Mapping[str, Any],
    addressees: Sequence[Addressee],
    requested_from: str | None = None,
    resource: str | None = None,
    resource_url: str | None = None,
    expires_at: datetime | None = None,
    thread: str | None = None,
) -> tuple[Payload, list[Delivery]]:
    """Add a payload and a delivery an addressee to the session; the caller commits.

    The first letter of each language is composed here, so that data which no letter can hold is
    the caller's error: raises Invalid. The workers are woken by the commit.
    """
    now = utcnow()
    ends = expires_at or now + (kind.lifetime or _UNTIL_DECIDED)
    organization_id = organization.id if organization else None
    payload = Payload(
        id=new_id(),
        organization_id=organization_id,
        kind=kind.key,
        data=dict(data),
        thread=thread,
        created_at=now,
    )
    db.session.add(payload)
    resolved = _resolve(organization, kind)
    subjects = _Subjects(organization, kind, data)
    language_of_all = identity.language(organization, None)
    bounced = suppressions.Listed([(organization_id, one.address) for one in addressees])
    deliveries = []
    for addressee in addressees:
        start = _start(organization, kind, addressee, resolved)
        if bounced.stops(organization_id, addressee.address, kind):
            start = replace(start, state=State.SUPPRESSED, reason=suppressions.BOUNCED)
        own = addressee.language
        language = str(own) if own in LANGUAGES else language_of_all
        delivery = Delivery(
            id=new_id(),
            organization_id=organization_id,
            payload_id=payload.id,
            kind=kind.key,
            priority=int(kind.priority),
            recipient=addressee.address,
            user_id=addressee.user_id,
            language=language,
            timezone=addressee.timezone,
            subject=subjects.of(language),
            message_id=make_message_id(
                start.from_address, current_app.extensions["config"].base_host
            ),
            state=start.state,
            reason=start.reason,
            resource=resource,
            resource_url=resource_url,
            requested_from=requested_from,
            created_at=now,
            next_attempt_at=now if start.state is State.QUEUED else None,
            expires_at=ends,
        )
        deliveries.append(delivery)
    db.session.add_all(deliveries)
    db.session.flush()
    _seal_secrets(deliveries, addressees)
    jobs.kick_after_commit()
    return payload, deliveries


def secrets_of(delivery_id: uuid.UUID) -> dict[str, str]:
    """The secret variables of this letter, opened; empty once it was accepted."""
    row = db.session.get(DeliverySecret, delivery_id)
    if row is None:
        return {}
    opened = keys.vault().open(row.sealed, context=_context(delivery_id))
    values: dict[str, str] = json.loads(opened)
    return values


class _Subjects:
    """Composes the letter once a language, with secrets masked, and keeps its subject."""

    def __init__(
        self, organization: Organization | None, kind: Kind, data: Mapping[str, Any]
    ) -> None:
        self._organization = organization
        self._kind = kind
        self._data = data
        self._subjects: dict[str, str] = {}

    def of(self, language: str) -> str:
        if language not in self._subjects:
            try:
                letter = compose(
                    self._kind,
                    {**self._data, **dict.fromkeys(self._kind.secrets, LINK_REMOVED)},
                    identity=identity.of(self._organization, self._kind),
                    language=identity.known(language),
                )
                unstructured("Subject", letter.subject)
            except (BrokenLetter, UnsafeMessage) as problem:
                raise Invalid.field("data", f"No letter can be written: {problem}") from None
            self._subjects[language] = letter.subject
        return self._subjects[language]


def _resolve(organization: Organization | None, kind: Kind) -> Resolved | NoSender | None:
    """None: the sender's secret does not open with the keys at hand."""
    try:
        return effective.resolve(organization, kind)
    except VaultError:
        return None


def _start(
    organization: Organization | None,
    kind: Kind,
    addressee: Addressee,
    resolved: Resolved | NoSender | None,
) -> Start:
    if resolved is None:
        return Start(State.HELD, SECRET_DOES_NOT_OPEN, None)
    if isinstance(resolved, NoSender):
        off = resolved.reason is NoSenderReason.MAIL_OFF
        return Start(State.SUPPRESSED if off else State.HELD, resolved.reason.value, None)
    if is_external_on_host(organization is not None, kind, addressee.user_id, resolved.level):
        return Start(State.SUPPRESSED, EXTERNAL, resolved.bundle.from_address)
    return Start(State.QUEUED, None, resolved.bundle.from_address)


def is_external_on_host(
    of_organization: bool, kind: Kind, user_id: uuid.UUID | None, level: Origin | Level
) -> bool:
    """An organization's mail to a stranger never leaves by the host's sender."""
    if not of_organization or kind.is_security or user_id is not None:
        return False
    return level.value == Origin.HOST.value


def _seal_secrets(deliveries: Sequence[Delivery], addressees: Sequence[Addressee]) -> None:
    for delivery, addressee in zip(deliveries, addressees, strict=True):
        if addressee.secrets and delivery.state is not State.SUPPRESSED:
            sealed = keys.vault().seal(
                json.dumps(dict(addressee.secrets)), context=_context(delivery.id)
            )
            db.session.add(DeliverySecret(delivery_id=delivery.id, sealed=sealed))


def _context(delivery_id: uuid.UUID) -> tuple[str, ...]:
    return ("delivery", str(delivery_id), "secrets")
