"""One claimed delivery, from its row to the server's answer and back into its row.

No database transaction is open while the network talks: what is needed is read and committed
first, the answer is written afterwards under the claim's fence.
"""

from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from portal import logs
from portal.clock import monotonic, utcnow
from portal.delivery import claims, identity, outbox, settling
from portal.delivery.claims import Claim, LeaseLost
from portal.delivery.guards import guard_for
from portal.delivery.models import Attempt, Delivery, State
from portal.delivery.phases import PhaseLog
from portal.destinations import Guard
from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.kinds import BY_KEY, Kind
from portal.letters.compose import BrokenLetter, compose
from portal.settings import effective
from portal.settings.effective import NoSender, NoSenderReason, Resolved
from portal.settings.models import Sender
from portal.settings.scope import Scope
from portal.smtp.blocking import Session, open_session
from portal.smtp.message import UnsafeMessage, build_message
from portal.smtp.values import Bundle, Outcome, Refused, SessionFailed
from portal.vault import VaultError

_log = logs.logger("delivery")


@dataclass(frozen=True)
class Prepared:
    """Everything that the network part needs; nothing of it is bound to a transaction."""

    bundle: Bundle
    sender: Resolved
    guard: Guard
    recipient: str
    content: bytes
    attempt_number: int


class Route:
    """The open session of one lane, reused from mail to mail while the bundle stays the same."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        self._session: Session | None = None

    def session(self, prepared: Prepared, phases: PhaseLog) -> Session:
        """A session for this bundle. Raises SessionFailed."""
        if self._session is not None and (
            self._bundle != prepared.bundle or not self._session.usable
        ):
            self.close()
        if self._session is None:
            self._session = open_session(prepared.bundle, guard=prepared.guard, observer=phases)
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
        settling.settle(
            claimed,
            outcome,
            sender_id=prepared.sender.sender_id,
            ms=int((monotonic() - began) * 1000),
            phases=phases,
        )
    except LeaseLost:
        route.close()
        db.session.rollback()
        _log.warning("lease lost", delivery=str(claimed.delivery_id))


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
    """Steps before the network: still wanted? by which sender? what does it say? Then commit."""
    delivery = db.session.get(Delivery, claimed.delivery_id, populate_existing=True)
    if delivery is None or delivery.fence != claimed.fence or delivery.state is not State.SENDING:
        db.session.rollback()
        return None
    kind = BY_KEY[delivery.kind]
    organization = _organization(delivery)
    now = utcnow()
    stop = _reason_to_stop(delivery, organization, now)
    if stop is None:
        stop, resolved = _resolve(delivery, organization, kind, now)
    if stop is not None:
        settling.put_aside(delivery, *stop)
        db.session.commit()
        return None
    prepared = _attempt(delivery, organization, kind, resolved, claimed)
    db.session.commit()
    db.session.remove()
    return prepared


def _organization(delivery: Delivery) -> Organization | None:
    if delivery.organization_id is None:
        return None
    return db.session.get(Organization, delivery.organization_id)


def _reason_to_stop(
    delivery: Delivery, organization: Organization | None, now: datetime
) -> tuple[State, str] | None:
    if organization is not None and organization.state is OrganizationState.DELETED:
        return State.CANCELLED, "organization_deleted"
    if delivery.expires_at <= now:
        return State.EXPIRED, "expired"
    return None


def _resolve(
    delivery: Delivery, organization: Organization | None, kind: Kind, now: datetime
) -> tuple[tuple[State, str] | None, Resolved]:
    """The sender of this try, or the state in which the mail waits."""
    nothing: Resolved = None  # type: ignore[assignment]
    try:
        resolved = effective.resolve(organization, kind)
    except VaultError:
        return (State.HELD, "secret_does_not_open"), nothing
    if isinstance(resolved, NoSender):
        return (State.HELD, resolved.reason.value), nothing
    if outbox.is_external_on_host(organization, kind, delivery.user_id, resolved.level):
        return (State.SUPPRESSED, outbox.EXTERNAL), nothing
    sender = db.session.get(Sender, resolved.sender_id)
    if sender is None:
        return (State.HELD, NoSenderReason.NOT_CONFIGURED.value), nothing
    if settling.is_paused(sender, now):
        return (State.HELD, settling.SENDER_FAILING), nothing
    return None, resolved


def _attempt(
    delivery: Delivery,
    organization: Organization | None,
    kind: Kind,
    resolved: Resolved,
    claimed: Claim,
) -> Prepared | None:
    """Count the attempt before anything can go wrong with it, then write the mail."""
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
    try:
        content = written(delivery, organization, kind, resolved)
    except (BrokenLetter, UnsafeMessage, VaultError) as problem:
        settling.render_failed(delivery, attempt, str(problem))
        return None
    return Prepared(
        bundle,
        resolved,
        guard_for(Scope.of(None if bundle.owner == "host" else organization)),
        delivery.recipient,
        content,
        delivery.attempt_count,
    )


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
