"""What a worker does between mails: act on events, release held mail, expire what is too old."""

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from portal.clock import utcnow
from portal.database import reading_only
from portal.delivery import backlog, suppressions
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, DeliverySecret, State
from portal.delivery.outbox import SECRET_DOES_NOT_OPEN
from portal.delivery.settling import SEALED
from portal.extensions import db
from portal.identity.models import Organization
from portal.jobs import Event
from portal.kinds import BY_KEY, Kind, Priority
from portal.settings import effective
from portal.settings.effective import NoSenderReason, Resolved
from portal.settings.models import MailSettings, Mode, Sender
from portal.vault import VaultError

_WAITING = (State.QUEUED, State.DEFERRED, State.HELD)
_NO_SENDER = [reason.value for reason in NoSenderReason] + [SECRET_DOES_NOT_OPEN]


def handle_events() -> int:
    """Act on every event row and delete it, in one transaction. Returns how many there were."""
    events = db.session.scalars(
        select(Event).order_by(Event.id).limit(200).with_for_update(skip_locked=True)
    ).all()
    for event in events:
        _handle(event)
        db.session.delete(event)
    db.session.commit()
    return len(events)


def probe_paused_senders() -> None:
    """Let one held mail of each paused sender try whether its server is back, and commit.

    What has failed as a probe goes behind the others, and so does its organization: a mail that is
    refused for a reason of its own must not keep the mail of everybody else.
    """
    now = utcnow()
    if probes := _probes_due(now):
        _queue(Delivery.id.in_(probes), now)
        db.session.commit()


def expire() -> None:
    """End what outlived its lifetime while waiting, and commit."""
    over = Delivery.expires_at <= utcnow()
    if not _is_any(Delivery.state.in_(_WAITING), over):
        return
    db.session.execute(
        update(Delivery)
        .where(Delivery.state.in_(_WAITING), over)
        .values(state=State.EXPIRED, reason="expired", next_attempt_at=None)
        .execution_options(synchronize_session=False)
    )
    _forget_secrets(State.EXPIRED, over)
    db.session.commit()


def cancel_waiting(payload_id: uuid.UUID, reason: str) -> None:
    """Cancel what of a notification has not left yet; the caller commits."""
    _cancel(Delivery.payload_id == payload_id, reason)


def release_sealed() -> None:
    """Queue what did not open with the keys of an earlier start, and commit."""
    _queue(Delivery.reason == SEALED, utcnow())
    db.session.commit()


def release_stranded() -> None:
    """Queue held mail whose cause is gone without an event having said so, and commit.

    A change may be committed between the look at the settings and the commit that held the mail.
    """
    now = utcnow()
    paused = select(Sender.id).where(Sender.next_probe_at.is_not(None))
    failing = Delivery.reason == SENDER_FAILING
    _queue(failing & Delivery.sender_id.not_in(paused), now)
    held = select(Delivery.organization_id).where(
        Delivery.state == State.HELD, Delivery.reason.in_(_NO_SENDER)
    )
    for organization_id in db.session.scalars(held.distinct().limit(500)).all():
        organization = db.session.get(Organization, organization_id) if organization_id else None
        for kind in (BY_KEY["alert.raised"], BY_KEY["security.invitation"]):
            if _has_sender(organization, kind):
                security = Delivery.priority == int(Priority.SECURITY)
                same_route = security if kind.is_security or organization is None else ~security
                waits = Delivery.reason.in_(_NO_SENDER) & same_route
                _queue((Delivery.organization_id == organization_id) & waits, now)
    db.session.commit()


def _probes_due(now: datetime) -> list[uuid.UUID]:
    """Looks without a lock: past a backlog that takes its time."""
    reading_only(True)
    try:
        due = db.session.scalars(select(Sender.id).where(Sender.next_probe_at <= now)).all()
        return [probe for sender_id in due if (probe := _next_probe(sender_id))]
    finally:
        db.session.rollback()
        reading_only(False)


def _next_probe(sender_id: uuid.UUID) -> uuid.UUID | None:
    """Of what was tried least the most urgent and oldest."""
    waits = and_(
        Delivery.state == State.HELD,
        Delivery.reason == SENDER_FAILING,
        Delivery.sender_id == sender_id,
    )
    tried = (
        select(Delivery.organization_id, func.count().label("mails"))
        .where(waits, Delivery.attempt_count > 0)
        .group_by(Delivery.organization_id)
        .subquery()
    )
    same = Delivery.organization_id.is_not_distinct_from(tried.c.organization_id)
    return db.session.scalar(
        select(Delivery.id)
        .outerjoin(tried, same)
        .where(waits)
        .order_by(
            func.coalesce(tried.c.mails, 0),
            Delivery.attempt_count,
            Delivery.priority,
            Delivery.id,
        )
        .limit(1)
    )


def _has_sender(organization: Organization | None, kind: Kind) -> bool:
    try:
        return isinstance(effective.resolve(organization, kind), Resolved)
    except VaultError:
        return False


def _handle(event: Event) -> None:
    now = utcnow()
    match event.topic:
        case "sender_changed":
            _release(event.organization_id, now)
        case "sender_recovered":
            _note_what_waited(uuid.UUID(event.data["sender"]))
            # Also what waited for another sender of the scope: this one can take over.
            _release(event.organization_id, now)
        case "organization_deleted":
            _cancel(Delivery.organization_id == event.organization_id, "organization_deleted")
            suppressions.forget(event.organization_id)
        case "person_removed":
            person = uuid.UUID(event.data["user_id"])
            _cancel(
                (Delivery.organization_id == event.organization_id) & (Delivery.user_id == person),
                "not_a_member",
            )


def _note_what_waited(sender_id: uuid.UUID) -> None:
    """While it still waits: its administrators are told how much it was, and since when."""
    sender = db.session.get(Sender, sender_id)
    if sender is None or sender.failure_told_at is None:
        return
    held = backlog.held_by(sender)
    sender.waited, sender.waited_since_at = held.count.up_to_more, held.since


def _release(organization_id: uuid.UUID | None, now: datetime) -> None:
    """Settings changed: what waited for them may try again."""
    waits_for_settings = Delivery.reason.in_([*_NO_SENDER, SENDER_FAILING])
    if organization_id is not None:
        _queue((Delivery.organization_id == organization_id) & waits_for_settings, now)
        return
    own = select(MailSettings.organization_id).where(
        MailSettings.mode == Mode.OWN, MailSettings.organization_id.is_not(None)
    )
    by_host = or_(
        Delivery.organization_id.is_(None),
        Delivery.organization_id.not_in(own),
        Delivery.priority == int(Priority.SECURITY),
    )
    _queue(by_host & waits_for_settings, now)


def _queue(condition: ColumnElement[bool], now: datetime) -> None:
    db.session.execute(
        update(Delivery)
        .where(Delivery.state == State.HELD, condition)
        .values(state=State.QUEUED, reason=None, next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )


def _cancel(condition: ColumnElement[bool], reason: str) -> None:
    """Cancel what has not reached its final dot; a worker that has it in hand loses its claim."""
    on_its_way = and_(Delivery.state == State.SENDING, Delivery.dot_pending.is_(False))
    begun = select(Delivery.id).where(on_its_way, condition)
    db.session.execute(
        update(Attempt)
        .where(Attempt.delivery_id.in_(begun), Attempt.outcome.is_(None))
        .values(outcome=AttemptOutcome.RECOVERED, cause=reason)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        update(Delivery)
        .where(or_(Delivery.state.in_(_WAITING), on_its_way), condition)
        .values(
            state=State.CANCELLED,
            reason=reason,
            next_attempt_at=None,
            lease_owner=None,
            lease_until=None,
            fence=Delivery.fence + 1,
        )
        .execution_options(synchronize_session=False)
    )
    _forget_secrets(State.CANCELLED, condition)


def _is_any(*conditions: ColumnElement[bool]) -> bool:
    """Looks without a lock: past a backlog that takes its time."""
    reading_only(True)
    try:
        found = db.session.scalar(select(Delivery.id).where(*conditions).limit(1))
    finally:
        db.session.rollback()
        reading_only(False)
    return found is not None


def _forget_secrets(state: State, condition: ColumnElement[bool]) -> None:
    over = select(Delivery.id).where(Delivery.state == state, condition)
    db.session.execute(delete(DeliverySecret).where(DeliverySecret.delivery_id.in_(over)))
