"""Writing the answer down: the delivery, its attempt and the sender's health, under the fence."""

import random
import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select, update

from portal import jobs
from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery import retry
from portal.delivery.claims import WORKER_LOST, Claim, forget_secrets
from portal.delivery.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    Level,
    State,
)
from portal.delivery.phases import PhaseLog
from portal.delivery.retry import AskSomeone, GiveUp, Hold, RetryAt
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import effective
from portal.settings.effective import NoSender, Origin, Resolved
from portal.settings.models import Sender
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.values import Accepted, Failure, Outcome, Phase, Refused

SENDER_FAILING = "sender_failing"
FAILOVER = "failover"
# A success is written to the sender at most this often; failures always.
_SUCCESS_NOTED = timedelta(seconds=30)
_GREYLISTING_CODES = (450, 451)
SEALED = "letter_does_not_open"
LEASE_LOST = "lease_lost"
_TAKEN_AWAY = (WORKER_LOST, LEASE_LOST)
_PROBE_LASTS = timedelta(minutes=2)
# A server that answers so late in a session is there, whatever it says of the mail.
_IN_SESSION = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT)


def settle(
    claimed: Claim,
    outcome: Outcome,
    *,
    sender_id: uuid.UUID,
    ms: int,
    phases: PhaseLog,
) -> None:
    """Record an outcome; the caller commits, together with all answers of one turn.

    Where the claim is not ours any more, an acceptance that comes too late is written on its
    attempt, never over a newer state.
    """
    delivery = db.session.scalar(
        select(Delivery)
        .where(claimed.holds)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if delivery is None:
        if isinstance(outcome, Accepted):
            _note_late(claimed, outcome)
        note_lost_lease(claimed)
        return
    attempt = _open_attempt(delivery)
    attempt.ms = ms
    attempt.phases = phases.phases
    attempt.ip = delivery.ip = phases.ip or _failure_ip(outcome) or delivery.ip
    attempt.tls = phases.tls
    sender = db.session.get(Sender, sender_id)
    if isinstance(outcome, Accepted):
        _accepted(delivery, attempt, outcome)
        _sender_works(sender)
    elif isinstance(outcome, Refused):
        _refused(delivery, attempt, outcome.failure, sender)
    else:
        _unknown(delivery, attempt, outcome.failure)
    _let_go(delivery)


def not_written(claimed: Claim, problem: str | None) -> None:
    """A begun letter could not be made; None: the key of its links is missing."""
    delivery = db.session.scalar(select(Delivery).where(claimed.holds).with_for_update())
    if delivery is None:
        note_lost_lease(claimed)
    elif problem is None:
        letter_does_not_open(delivery)
    else:
        render_failed(delivery, problem)


def unbegin(claimed: Claim) -> None:
    """Give back a delivery whose attempt was counted and of which no server has heard."""
    delivery = db.session.scalar(select(Delivery).where(claimed.holds).with_for_update())
    if delivery is None:
        note_lost_lease(claimed)
        return
    db.session.delete(_open_attempt(delivery))
    delivery.attempt_count -= 1
    delivery.state = State.QUEUED
    _let_go(delivery)


def forget_open_attempt(claimed: Claim) -> None:
    """Undo what a commit of unknown outcome may have counted for this claim."""
    open_one = and_(
        Attempt.delivery_id == claimed.delivery_id,
        Attempt.worker == claimed.worker,
        Attempt.outcome.is_(None),
    )
    if rows_changed(db.session.execute(delete(Attempt).where(open_one))):
        counted = update(Delivery).where(claimed.holds)
        db.session.execute(counted.values(attempt_count=Delivery.attempt_count - 1))


def put_aside(delivery: Delivery, state: State, reason: str) -> None:
    """End a claim without a try: held, suppressed, cancelled or expired."""
    delivery.state, delivery.reason = state, reason
    delivery.next_attempt_at = None
    if state in (State.CANCELLED, State.EXPIRED, State.SUPPRESSED):
        forget_secrets(delivery)
    _let_go(delivery)


def render_failed(delivery: Delivery, problem: str) -> None:
    """The letter cannot be written: final, because another try would write the same."""
    attempt = _open_attempt(delivery)
    attempt.outcome = AttemptOutcome.FAILED
    attempt.phase, attempt.cause, attempt.reply = "render", "render", problem[:500]
    delivery.state, delivery.reason = State.FAILED, "render"
    delivery.next_attempt_at = None
    forget_secrets(delivery)
    _let_go(delivery)


def letter_does_not_open(delivery: Delivery) -> None:
    """The key of this letter's links is missing: it waits for a worker that starts with it."""
    attempt = _open_attempt(delivery)
    attempt.outcome, attempt.phase, attempt.cause = AttemptOutcome.DEFERRED, "render", SEALED
    attempt.is_route_fault = True
    put_aside(delivery, State.HELD, SEALED)


def may_send(sender: Sender, now: datetime) -> bool:
    """Whether mail may leave by this sender now: it works, or this mail is its one probe.

    A probe that never answers, because its worker died, lets the next one go after a while.
    """
    if sender.next_probe_at is None:
        return True
    if sender.next_probe_at > now:
        return False
    taken = db.session.execute(
        update(Sender)
        .where(Sender.id == sender.id, Sender.next_probe_at == sender.next_probe_at)
        .values(next_probe_at=now + _PROBE_LASTS)
    )
    return rows_changed(taken) == 1


def note_lost_lease(claimed: Claim) -> None:
    """Close the attempt of a claim that was lost before an answer came; the caller commits."""
    db.session.execute(
        update(Attempt)
        .where(_last_attempt(claimed), Attempt.outcome.is_(None))
        .values(outcome=AttemptOutcome.RECOVERED, cause=LEASE_LOST)
        .execution_options(synchronize_session=False)
    )


def level_of(resolved: Resolved) -> Level:
    if resolved.is_fallback:
        return Level.FALLBACK
    return Level.HOST if resolved.level is Origin.HOST else Level.ORGANIZATION


def _open_attempt(delivery: Delivery) -> Attempt:
    return db.session.scalars(
        select(Attempt).where(
            Attempt.delivery_id == delivery.id, Attempt.number == delivery.attempt_count
        )
    ).one()


def _last_attempt(claimed: Claim) -> ColumnElement[bool]:
    """The newest attempt of this worker: it serves one mail of an organization at a time."""
    mine = and_(
        Attempt.delivery_id == claimed.delivery_id,
        Attempt.worker == claimed.worker,
    )
    newest = select(func.max(Attempt.number)).where(mine).scalar_subquery()
    return and_(mine, Attempt.number == newest)


def _note_late(claimed: Claim, outcome: Accepted) -> None:
    db.session.execute(
        update(Attempt)
        .where(_last_attempt(claimed), Attempt.outcome.is_(None) | Attempt.cause.in_(_TAKEN_AWAY))
        .values(
            outcome=AttemptOutcome.ACCEPTED,
            cause=LEASE_LOST,
            code=outcome.code,
            reply=outcome.reply,
            ip=outcome.ip,
        )
        .execution_options(synchronize_session=False)
    )


def _failure_ip(outcome: Outcome) -> str | None:
    return None if isinstance(outcome, Accepted) else outcome.failure.ip


def _accepted(delivery: Delivery, attempt: Attempt, outcome: Accepted) -> None:
    attempt.outcome = AttemptOutcome.ACCEPTED
    attempt.code, attempt.reply = outcome.code, outcome.reply
    delivery.state, delivery.reason = State.ACCEPTED, None
    delivery.accepted_at = utcnow()
    delivery.next_attempt_at = None
    delivery.code, delivery.enhanced_code, delivery.reply = outcome.code, None, outcome.reply
    forget_secrets(delivery)


def _refused(delivery: Delivery, attempt: Attempt, failure: Failure, sender: Sender | None) -> None:
    _note(delivery, attempt, failure)
    failure_class = classify(failure)
    now = utcnow()
    decision = retry.decide(
        failure_class,
        kind=BY_KEY[delivery.kind],
        tries=_tries(delivery),
        now=now,
        expires_at=delivery.expires_at,
        greylisted=failure.cause == Cause.RECIPIENT_TEMPORARY
        and failure.code in _GREYLISTING_CODES,
        jitter=random.random(),  # noqa: S311 - spreads load, guards nothing
    )
    match decision:
        case Hold():
            attempt.outcome, attempt.is_route_fault = AttemptOutcome.DEFERRED, True
            _sender_fails(sender, failure, now)
            other = _has_other_route(delivery, sender, now)
            delivery.state = State.QUEUED if other else State.HELD
            delivery.reason = FAILOVER if other else SENDER_FAILING
            delivery.next_attempt_at = now if other else None
        case RetryAt(at):
            attempt.outcome = AttemptOutcome.DEFERRED
            delivery.state, delivery.reason = State.DEFERRED, failure.cause
            delivery.next_attempt_at = at
        case GiveUp(expired):
            attempt.outcome = AttemptOutcome.DEFERRED if expired else AttemptOutcome.FAILED
            delivery.state = State.EXPIRED if expired else State.FAILED
            delivery.reason = "expired" if expired else failure.cause
            delivery.next_attempt_at = None
            forget_secrets(delivery)
        case AskSomeone():
            raise AssertionError("a refusal is never unknown")
    if failure_class is not FailureClass.ROUTE_FAULT:
        if failure.phase in _IN_SESSION:
            _sender_works(sender)
        else:
            _sender_is_late(sender, now)


def _has_other_route(delivery: Delivery, failed: Sender | None, now: datetime) -> bool:
    """Whether another sender can take over at once. Each failure pauses one, so this ends."""
    organization = (
        db.session.get(Organization, delivery.organization_id) if delivery.organization_id else None
    )
    senders = effective.routes(organization, BY_KEY[delivery.kind])
    return not isinstance(senders, NoSender) and any(
        other is not failed and (other.next_probe_at is None or other.next_probe_at <= now)
        for other in senders
    )


def _unknown(delivery: Delivery, attempt: Attempt, failure: Failure) -> None:
    _note(delivery, attempt, failure)
    attempt.outcome = AttemptOutcome.UNKNOWN
    decision = retry.decide_unknown(
        kind=BY_KEY[delivery.kind], may_be_duplicate=delivery.may_be_duplicate, now=utcnow()
    )
    if isinstance(decision, RetryAt):
        delivery.state, delivery.reason = State.DEFERRED, failure.cause
        delivery.next_attempt_at = decision.at
        delivery.may_be_duplicate = True
    else:
        delivery.state, delivery.reason = State.UNKNOWN, failure.cause
        delivery.next_attempt_at = None


def _note(delivery: Delivery, attempt: Attempt, failure: Failure) -> None:
    attempt.phase, attempt.cause = failure.phase.value, failure.cause
    attempt.code, attempt.enhanced_code = failure.code, failure.enhanced_code
    attempt.reply = failure.reply or failure.detail
    delivery.code, delivery.enhanced_code = failure.code, failure.enhanced_code
    delivery.reply = failure.reply


def _tries(delivery: Delivery) -> int:
    """How often the message itself was tried; route faults burn nothing."""
    deferred = select(func.count()).where(
        Attempt.delivery_id == delivery.id,
        Attempt.outcome == AttemptOutcome.DEFERRED,
        Attempt.is_route_fault.is_(False),
    )
    return (db.session.scalar(deferred) or 0) + 1


def _sender_works(sender: Sender | None) -> None:
    """Note a success; the first one after a failure lets the held mail go."""
    now = utcnow()
    if sender is None:
        return
    if sender.next_probe_at is not None or sender.consecutive_failures:
        sender.consecutive_failures = 0
        sender.next_probe_at = None
        sender.last_failure_cause = None
        sender.last_success_at = now
        if sender.failure_told_at is None:
            sender.failing_since_at = None
        jobs.emit("sender_recovered", organization_id=sender.organization_id, sender=str(sender.id))
    elif sender.last_success_at is None or now - sender.last_success_at > _SUCCESS_NOTED:
        sender.last_success_at = now


def _sender_fails(sender: Sender | None, failure: Failure, now: datetime) -> None:
    """Pause the sender until its next probe."""
    if sender is None:
        return
    failures = sender.consecutive_failures + 1
    db.session.execute(
        update(Sender)
        .where(Sender.id == sender.id)
        .values(
            consecutive_failures=failures,
            failing_since_at=sender.failing_since_at or now,
            last_failure_at=now,
            last_failure_cause=failure.cause,
            next_probe_at=retry.next_probe(failures, now, jitter=random.random()),  # noqa: S311
        )
    )


def _sender_is_late(sender: Sender | None, now: datetime) -> None:
    """It asked us to come later before any mail was named: a paused sender stays paused."""
    if sender is not None and sender.next_probe_at is not None:
        sender.next_probe_at = retry.next_probe(sender.consecutive_failures, now)


def _let_go(delivery: Delivery) -> None:
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.dot_pending = False
