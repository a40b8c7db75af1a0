"""One claimed delivery, from its row to the server's answer and back into its row.

No database transaction is open while the network talks: what is needed is read and committed
first, the answer is written afterwards under the claim's fence.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.clock import monotonic, utcnow
from portal.delivery import claims, identity, outbox, rotating, settling
from portal.delivery.claims import Claim, LeaseLost
from portal.delivery.guards import guard_for
from portal.delivery.models import Attempt, Delivery, State
from portal.delivery.phases import Ear, PhaseLog
from portal.destinations import Guard
from portal.extensions import db
from portal.identity.models import Membership, Organization, OrganizationState
from portal.kinds import BY_KEY, Kind
from portal.letters.compose import BrokenLetter, compose
from portal.settings import effective
from portal.settings.effective import NoSender, Resolved
from portal.settings.scope import Scope
from portal.smtp.blocking import Session, open_session
from portal.smtp.message import UnsafeMessage, build_message
from portal.smtp.values import Bundle, Outcome, Refused, SessionFailed
from portal.vault import VaultError

_log = logs.logger("delivery")
# An answer that cannot be stored is kept for as long as the lease lasts, in seconds.
_STORE_WITHIN = 50.0
_STORE_AGAIN = 0.5


@dataclass(frozen=True)
class Prepared:
    """Everything that the network part needs; nothing of it is bound to a transaction."""

    bundle: Bundle
    sender: Resolved
    guard: Guard
    recipient: str
    content: bytes


class Route:
    """The open session of one lane, reused from mail to mail while the bundle stays the same."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        self._session: Session | None = None
        self._ear = Ear()

    def session(self, prepared: Prepared, phases: PhaseLog) -> Session:
        """A session for this bundle, heard by `phases` from now on. Raises SessionFailed."""
        self._ear.phases = phases
        if self._session is not None and (
            self._bundle != prepared.bundle or not self._session.usable
        ):
            self.close()
        if self._session is None:
            self._session = open_session(
                prepared.bundle,
                guard=prepared.guard,
                observer=self._ear,
                rotated=rotating.of_sender(prepared.sender),
            )
            self._bundle = prepared.bundle
        else:
            phases.reused()
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
        self._bundle = None


def deliver(claimed: Claim, route: Route) -> None:
    """Send one claimed delivery and settle it. Never raises for a fault of mail or server."""
    try:
        prepared = _prepare(claimed)
        if prepared is None:
            return
        phases = PhaseLog()
        began = monotonic()
        outcome = _send(claimed, prepared, route, phases)
        _store(claimed, outcome, prepared, int((monotonic() - began) * 1000), phases)
    except LeaseLost:
        route.close()
        db.session.rollback()
        settling.note_lost_lease(claimed)
        _log.warning("lease lost", delivery=str(claimed.delivery_id))


def _store(claimed: Claim, outcome: Outcome, prepared: Prepared, ms: int, phases: PhaseLog) -> None:
    """Settle, again and again while the database is away: the answer lives only here."""
    patience = monotonic() + _STORE_WITHIN
    while True:
        try:
            settling.settle(
                claimed, outcome, sender_id=prepared.sender.sender_id, ms=ms, phases=phases
            )
            return
        except SQLAlchemyError as problem:
            db.session.remove()
            if monotonic() > patience:
                raise
            _log.error("answer not stored yet", kind=type(problem).__name__)
            time.sleep(_STORE_AGAIN)


def _send(claimed: Claim, prepared: Prepared, route: Route, phases: PhaseLog) -> Outcome:
    def before_dot() -> None:
        claims.mark_dot(claimed)
        db.session.remove()

    for last in (False, True):
        try:
            session = route.session(prepared, phases)
            phases.peer(session)
            outcome = session.send(
                prepared.bundle.mail_from,
                prepared.recipient,
                prepared.content,
                before_dot=before_dot,
            )
        except SessionFailed as failed:
            # A reused session may have died while idle: nothing was handed over, so once more.
            was_reused = phases.was_reused
            route.close()
            if was_reused and not last:
                phases.restart()
                continue
            return Refused(failed.failure)
        if not session.usable:
            route.close()
        return outcome
    raise AssertionError("unreachable")


def _prepare(claimed: Claim) -> Prepared | None:
    """Steps before the network: still wanted? by which sender? what does it say?

    The attempt is committed before the letter is written: what breaks there has been counted.
    """
    resolved = _begin(claimed)
    return _write(claimed, resolved) if resolved is not None else None


def _begin(claimed: Claim) -> Resolved | None:
    delivery = _held(claimed)
    if delivery is None:
        db.session.rollback()
        return None
    kind = BY_KEY[delivery.kind]
    organization = _organization(delivery)
    now = utcnow()
    stop = _reason_to_stop(delivery, organization, kind, now)
    if stop is None:
        stop, resolved = _resolve(delivery, organization, kind, now)
    if stop is not None:
        settling.put_aside(delivery, *stop)
        db.session.commit()
        return None
    _count(delivery, resolved, claimed)
    db.session.commit()
    return resolved


def _write(claimed: Claim, resolved: Resolved) -> Prepared | None:
    delivery = _held(claimed)
    if delivery is None:
        raise LeaseLost
    organization = _organization(delivery)
    try:
        content = written(delivery, organization, BY_KEY[delivery.kind], resolved)
    except SQLAlchemyError:
        raise
    except VaultError:
        settling.letter_does_not_open(delivery)
    except (BrokenLetter, UnsafeMessage) as problem:
        settling.render_failed(delivery, str(problem))
    except Exception as problem:
        # Whatever breaks one letter breaks it at every try, and must not stop the others.
        _log.error("letter broken", delivery=str(delivery.id), exc_info=problem)
        settling.render_failed(delivery, type(problem).__name__)
    else:
        prepared = _prepared(delivery, organization, resolved, content)
        db.session.commit()
        db.session.remove()
        return prepared
    db.session.commit()
    return None


def _held(claimed: Claim) -> Delivery | None:
    """The row, locked, if the claim still holds: so that nobody recovers it before the commit."""
    return db.session.scalar(
        select(Delivery)
        .where(claimed.holds, Delivery.state == State.SENDING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _prepared(
    delivery: Delivery, organization: Organization | None, resolved: Resolved, content: bytes
) -> Prepared:
    of_host = resolved.bundle.owner == "host"
    return Prepared(
        resolved.bundle,
        resolved,
        guard_for(Scope.of(None if of_host else organization)),
        delivery.recipient,
        content,
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
            resolved = effective.resolve_sender(sender, None if kind.is_security else organization)
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
        server=bundle.server,
    )
    db.session.add(attempt)


def written(
    delivery: Delivery,
    organization: Organization | None,
    kind: Kind,
    resolved: Resolved,
) -> bytes:
    """The whole mail of a delivery. Raises BrokenLetter, UnsafeMessage or VaultError."""
    payload = delivery.payload
    letter = compose(
        kind,
        {**payload.data, **outbox.secrets_of(delivery)},
        identity=identity.of(organization, kind),
        language=identity.known(delivery.language),
        timezone=delivery.timezone,
    )
    return build_message(
        message_id=delivery.message_id,
        date=delivery.created_at,
        from_name=resolved.from_name,
        from_address=resolved.bundle.from_address,
        to_address=delivery.recipient,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        reply_to=resolved.reply_to,
        references=_thread(payload.thread),
    )


def _thread(thread: str | None) -> tuple[str, ...]:
    """The id that all mails of one alert or approval refer to, so that mail clients group them."""
    if thread is None:
        return ()
    return (f"<{thread}@{current_app.extensions['config'].base_host}>",)
