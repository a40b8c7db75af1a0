"""One claimed delivery, from its row to what goes over the wire.

Two steps, so that no transaction is open while the network talks: `begin` decides whether and by
which sender it goes and counts the attempt, in the caller's transaction; `write` makes the mail
once that was committed.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.clock import utcnow
from portal.delivery import identity, letter_templates, outbox, settling
from portal.delivery.claims import Claim, LeaseLost
from portal.delivery.guards import guard_for
from portal.delivery.letter_templates import TemplateKey
from portal.delivery.models import Attempt, Delivery, State
from portal.destinations import Guard
from portal.extensions import db
from portal.identity.models import Membership, Organization, OrganizationState
from portal.kinds import BY_KEY, Kind
from portal.letters.compose import BrokenLetter, compose
from portal.settings import effective
from portal.settings.effective import NoSender, Resolved
from portal.settings.scope import Scope
from portal.smtp.fast_message import MessageTemplate, Parts
from portal.smtp.message import UnsafeMessage, build_message
from portal.smtp.wire import content_bytes
from portal.vault import VaultError

_log = logs.logger("delivery")
_MOST_TEMPLATES = 256
# Octets; a template whose letter carries a logo holds the whole image.
_LARGEST_TEMPLATES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Prepared:
    """What the network part needs: nothing of it is bound to a transaction. `content` is finished
    wire content, with its dots stuffed."""

    sender: Resolved
    recipient: str
    content: bytes


@dataclass(frozen=True)
class Unwritten:
    """The letter could not be written; `record` in `settling` says so in the next transaction."""

    problem: str | None


def begin(claimed: Claim) -> Resolved | None:
    """Decide by which sender a claimed delivery goes now, and count the attempt; the caller
    commits, and only then may the letter be written: what breaks there has been counted.

    None: it is not sent now, because the claim is lost or its state says why.
    """
    delivery = _held(claimed)
    if delivery is None:
        return None
    kind = BY_KEY[delivery.kind]
    organization = _organization(delivery)
    now = utcnow()
    stop = _reason_to_stop(delivery, organization, kind, now)
    if stop is None:
        stop, resolved = _resolve(delivery, organization, kind, now)
    if stop is not None:
        settling.put_aside(delivery, *stop)
        return None
    _count(delivery, resolved, claimed)
    return resolved


def guard_of(resolved: Resolved, claimed: Claim) -> Guard:
    """Where this sender may connect to."""
    if resolved.bundle.owner == "host":
        return guard_for(Scope.of(None))
    return guard_for(Scope(claimed.organization_id))


class Writer:
    """Writes mails, and keeps the templates of the notifications that it met last."""

    def __init__(self) -> None:
        self._templates: OrderedDict[TemplateKey, MessageTemplate] = OrderedDict()
        self._size = 0

    def write(self, claimed: Claim, resolved: Resolved) -> Prepared | Unwritten:
        """The mail of a begun delivery. Raises LeaseLost; changes nothing."""
        delivery = db.session.get(Delivery, claimed.delivery_id)
        if delivery is None or delivery.fence != claimed.fence:
            raise LeaseLost
        try:
            content = self._content(delivery, _organization(delivery), resolved)
        except SQLAlchemyError:
            raise
        except VaultError:
            return Unwritten(None)
        except (BrokenLetter, UnsafeMessage) as problem:
            return Unwritten(str(problem))
        except Exception as problem:
            # Whatever breaks one letter breaks it at every try, and must not stop the others.
            _log.error("letter broken", delivery=str(delivery.id), exc_info=problem)
            return Unwritten(type(problem).__name__)
        return Prepared(resolved, delivery.recipient, content)

    def _content(
        self, delivery: Delivery, organization: Organization | None, resolved: Resolved
    ) -> bytes:
        key = _template_key(delivery, organization, resolved)
        template = self._templates.get(key) if key else None
        if template is None:
            parts = _parts(delivery, organization, resolved)
            if key is None:
                return _built(delivery, parts)
            template = MessageTemplate.of(
                parts,
                recipient=delivery.recipient,
                message_id=delivery.message_id,
                date=delivery.created_at,
            )
            self._keep(key, template)
        filled = template.fill(
            recipient=delivery.recipient,
            message_id=delivery.message_id,
            date=delivery.created_at,
        )
        if filled is not None:
            return filled
        return _built(delivery, _parts(delivery, organization, resolved))

    def _keep(self, key: TemplateKey, template: MessageTemplate) -> None:
        self._templates[key] = template
        self._size += template.size
        while len(self._templates) > _MOST_TEMPLATES or self._size > _LARGEST_TEMPLATES:
            self._size -= self._templates.popitem(last=False)[1].size


def _held(claimed: Claim) -> Delivery | None:
    """The row, locked, if the claim still holds: so that nobody recovers it before the commit."""
    return db.session.scalar(
        select(Delivery)
        .where(claimed.holds, Delivery.state == State.SENDING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _organization(delivery: Delivery) -> Organization | None:
    if delivery.organization_id is None:
        return None
    return db.session.get(Organization, delivery.organization_id)


def _reason_to_stop(
    delivery: Delivery, organization: Organization | None, kind: Kind, now: datetime
) -> tuple[State, str] | None:
    if organization is not None and organization.state is OrganizationState.DELETED:
        return State.CANCELLED, "organization_deleted"
    if organization is not None and not kind.is_security and not _belongs(delivery):
        return State.CANCELLED, "not_a_member"
    if delivery.expires_at <= now:
        return State.EXPIRED, "expired"
    return None


def _belongs(delivery: Delivery) -> bool:
    """Whether the recipient still is a member; an outside address never was one."""
    if delivery.user_id is None:
        return True
    member = select(Membership.id).where(
        Membership.organization_id == delivery.organization_id,
        Membership.user_id == delivery.user_id,
    )
    return db.session.scalar(member) is not None


def _resolve(
    delivery: Delivery, organization: Organization | None, kind: Kind, now: datetime
) -> tuple[tuple[State, str] | None, Resolved]:
    """The sender of this try, or the state in which the mail waits."""
    nothing: Resolved = None  # type: ignore[assignment]
    senders = effective.routes(organization, kind)
    if isinstance(senders, NoSender):
        return (State.HELD, senders.reason.value), nothing
    reason = settling.SENDER_FAILING
    for sender in senders:
        if not settling.may_send(sender, now):
            continue
        try:
            owner = None if kind.is_security else organization
            resolved = effective.resolve_sender(sender, owner, meant=senders[0])
        except VaultError:
            reason = outbox.SECRET_DOES_NOT_OPEN
            continue
        if isinstance(resolved, NoSender):
            continue
        if not outbox.is_external_on_host(organization, kind, delivery.user_id, resolved.level):
            return None, resolved
        if not resolved.is_fallback:
            return (State.SUPPRESSED, outbox.EXTERNAL), nothing
    delivery.sender_id = senders[0].id
    return (State.HELD, reason), nothing


def _count(delivery: Delivery, resolved: Resolved, claimed: Claim) -> None:
    """Count the attempt before anything can go wrong with it."""
    bundle = resolved.bundle
    delivery.attempt_count += 1
    delivery.sender_id = resolved.sender_id
    delivery.sender = bundle.name
    delivery.level = settling.level_of(resolved)
    delivery.server = bundle.server
    attempt = Attempt(
        organization_id=delivery.organization_id,
        delivery_id=delivery.id,
        number=delivery.attempt_count,
        started_at=utcnow(),
        worker=claimed.worker,
        sender=bundle.name,
        sender_version=bundle.version,
        from_version_id=resolved.from_version_id,
        server=bundle.server,
    )
    db.session.add(attempt)


def _template_key(
    delivery: Delivery, organization: Organization | None, resolved: Resolved
) -> TemplateKey | None:
    kind = BY_KEY[delivery.kind]
    return letter_templates.key(
        kind,
        delivery.payload.data,
        payload_id=delivery.payload_id,
        language=identity.known(delivery.language),
        timezone=delivery.timezone,
        identity=identity.of(organization, kind),
        from_name=resolved.from_name,
        from_address=resolved.from_address,
        reply_to=resolved.reply_to,
        references=_thread(delivery.payload.thread),
    )


def _parts(delivery: Delivery, organization: Organization | None, resolved: Resolved) -> Parts:
    """Raises BrokenLetter, UnsafeMessage or VaultError."""
    kind = BY_KEY[delivery.kind]
    payload = delivery.payload
    written_as, images = identity.with_images(organization, kind)
    letter = compose(
        kind,
        {**payload.data, **outbox.secrets_of(delivery)},
        identity=written_as,
        language=identity.known(delivery.language),
        timezone=delivery.timezone,
    )
    return Parts(
        from_name=resolved.from_name,
        from_address=resolved.from_address,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        reply_to=resolved.reply_to,
        references=_thread(payload.thread),
        images=images,
    )


def _built(delivery: Delivery, parts: Parts) -> bytes:
    return content_bytes(
        build_message(
            message_id=delivery.message_id,
            date=delivery.created_at,
            to_address=delivery.recipient,
            **vars(parts),
        )
    )


def _thread(thread: str | None) -> tuple[str, ...]:
    """The id that all mails of one alert or approval refer to, so that mail clients group them."""
    if thread is None:
        return ()
    return (f"<{thread}@{current_app.extensions['config'].base_host}>",)
