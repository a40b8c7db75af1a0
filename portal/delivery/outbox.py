"""The outbox: a notification becomes deliveries in the transaction of the business change."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from flask import current_app
from sqlalchemy import Table, select

from portal import jobs, keys
from portal.clock import new_id, new_ids, utcnow
from portal.delivery import identity, suppressions
from portal.delivery.models import Delivery, DeliverySecret, Level, Payload, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Kind
from portal.letters.compose import BrokenLetter, compose
from portal.letters.words import LINK_REMOVED
from portal.prepared import PreparedInsert
from portal.settings import effective
from portal.settings.effective import NoSender, NoSenderReason, Origin, Resolved
from portal.settings.mail_rules import LANGUAGES
from portal.smtp.headers import UnsafeMessage, unstructured
from portal.smtp.message import message_id_domain
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


class NewDelivery(NamedTuple):
    """The columns of a delivery that its addressee decides."""

    id: uuid.UUID
    recipient: str
    user_id: uuid.UUID | None
    language: str
    timezone: str
    subject: str
    message_id: str
    state: State
    reason: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class Enqueued:
    """A notification with its deliveries as they were written, in the order of their addressees:
    what tells of many of them reads none back."""

    payload: Payload
    rows: tuple[NewDelivery, ...]
    resource: str | None
    requested_from: str | None

    @property
    def ids(self) -> tuple[uuid.UUID, ...]:
        return tuple(row.id for row in self.rows)

    @property
    def deliveries(self) -> list[Delivery]:
        """As they are in the database now, in the same order."""
        query = select(Delivery).where(Delivery.payload_id == self.payload.id)
        return list(db.session.scalars(query.order_by(Delivery.id)))


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
) -> Enqueued:
    """Add a payload and a delivery an addressee, in the session's transaction; the caller commits.

    The first letter of each language is composed here, so that data which no letter can hold is
    the caller's error: raises Invalid. The workers are woken by the commit.
    """
    now = utcnow()
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
    bounced = suppressions.Listed([(organization_id, one.address) for one in addressees])
    columns = _Columns(organization, kind, data, bounced, now)
    rows = [columns.of(*one) for one in zip(new_ids(len(addressees)), addressees, strict=True)]
    db.session.flush()
    _DELIVERY.run(
        rows,
        organization_id=organization_id,
        payload_id=payload.id,
        kind=kind.key,
        priority=int(kind.priority),
        resource=resource,
        resource_url=resource_url,
        requested_from=requested_from,
        created_at=now,
        expires_at=expires_at or now + (kind.lifetime or _UNTIL_DECIDED),
    )
    _seal_secrets(rows, addressees)
    jobs.kick_after_commit()
    return Enqueued(payload, tuple(rows), resource, requested_from)


def secrets_of(delivery_id: uuid.UUID) -> dict[str, str]:
    """The secret variables of this letter, opened; empty once it was accepted."""
    row = db.session.get(DeliverySecret, delivery_id)
    if row is None:
        return {}
    opened = keys.vault().open(row.sealed, context=_context(delivery_id))
    values: dict[str, str] = json.loads(opened)
    return values


class _Columns:
    """Makes those of new deliveries, for one notification."""

    def __init__(
        self,
        organization: Organization | None,
        kind: Kind,
        data: Mapping[str, Any],
        bounced: suppressions.Listed,
        now: datetime,
    ) -> None:
        self._organization = organization
        self._organization_id = organization.id if organization else None
        self._kind = kind
        self._bounced = bounced
        self._now = now
        self._resolved = _resolve(organization, kind)
        self._subjects = _Subjects(organization, kind, data)
        self._language_of_all = identity.language(organization, None)
        self._at: dict[str | None, str] = {}

    def of(self, delivery_id: uuid.UUID, addressee: Addressee) -> NewDelivery:
        start = _start(self._organization, self._kind, addressee, self._resolved)
        if self._bounced.stops(self._organization_id, addressee.address, self._kind):
            start = replace(start, state=State.SUPPRESSED, reason=suppressions.BOUNCED)
        own = addressee.language
        language = str(own) if own in LANGUAGES else self._language_of_all
        return NewDelivery(
            id=delivery_id,
            recipient=addressee.address,
            user_id=addressee.user_id,
            language=language,
            timezone=addressee.timezone,
            subject=self._subjects.of(language),
            message_id=f"<{delivery_id.hex}@{self._message_id_domain(start.from_address)}>",
            state=start.state,
            reason=start.reason,
            next_attempt_at=self._now if start.state is State.QUEUED else None,
        )

    def _message_id_domain(self, from_address: str | None) -> str:
        if from_address not in self._at:
            base_host = current_app.extensions["config"].base_host
            self._at[from_address] = message_id_domain(from_address, base_host)
        return self._at[from_address]


_DELIVERY = PreparedInsert(
    cast(Table, Delivery.__table__),
    NewDelivery._fields,
    shared=(
        "organization_id",
        "payload_id",
        "kind",
        "priority",
        "resource",
        "resource_url",
        "requested_from",
        "created_at",
        "expires_at",
    ),
    fixed={
        "attempt_count": 0,
        "recoveries": 0,
        "may_be_duplicate": False,
        "fence": 0,
        "dot_pending": False,
    },
)


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


def _seal_secrets(rows: Sequence[NewDelivery], addressees: Sequence[Addressee]) -> None:
    for row, addressee in zip(rows, addressees, strict=True):
        if addressee.secrets and row.state is not State.SUPPRESSED:
            sealed = keys.vault().seal(
                json.dumps(dict(addressee.secrets)), context=_context(row.id)
            )
            db.session.add(DeliverySecret(delivery_id=row.id, sealed=sealed))


def _context(delivery_id: uuid.UUID) -> tuple[str, ...]:
    return ("delivery", str(delivery_id), "secrets")
