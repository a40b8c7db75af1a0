"""Writing down what became of the mail of one turn: deliveries, attempts, the senders' health."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from portal.clock import utcnow
from portal.delivery import accepting, aside, attempts, health, retry, suppressions
from portal.delivery.accepting import Acceptance
from portal.delivery.claims import Claim
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.delivery.phases import PhaseLog
from portal.delivery.retry import AskSomeone, GiveUp, Hold, RetryAt
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import effective
from portal.settings.effective import NoSender
from portal.settings.models import Sender
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.values import Accepted, Failure, Outcome, Phase, Refused, Unknown

FAILOVER = "failover"
SEALED = "letter_does_not_open"
_GREYLISTING_CODES = (450, 451)
# A server that answers so late in a session is there, whatever it says of the mail.
_IN_SESSION = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT)
# From here on a server knows the mail, so that its refusal may be about this one alone.
_AFTER_MAIL = (Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT)
_JUST_NOW = timedelta(minutes=2)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a server answered to one delivery, or why it did not. `ms`: how long it took."""

    claim: Claim
    outcome: Outcome
    sender_id: uuid.UUID
    ms: int
    phases: PhaseLog


@dataclass(frozen=True, eq=False)
class NotWritten:
    """A begun letter could not be made; None: the key of its links is missing."""

    claim: Claim
    problem: str | None


@dataclass(frozen=True, eq=False)
class GivenBack:
    """An attempt was counted, and no server has heard of it."""

    claim: Claim


@dataclass(frozen=True, eq=False)
class LostLease:
    """The claim was lost before an answer came."""

    claim: Claim


Change = Answer | NotWritten | GivenBack | LostLease


def store(changes: Sequence[Change]) -> None:
    """Write down all changes of one turn, of one worker; the caller commits.

    A change of a claim that is not ours any more is written on its attempt alone, never over a
    newer state.
    """
    accepting.store(
        [
            Acceptance(one.claim, one.outcome, one.ms, one.phases)
            for one in changes
            if isinstance(one, Answer) and isinstance(one.outcome, Accepted)
        ]
    )
    answers = [one for one in changes if isinstance(one, Answer)]
    if working := {one.sender_id for one in answers if isinstance(one.outcome, Accepted)}:
        health.work(working)
    attempts.give_back([one.claim for one in changes if isinstance(one, GivenBack)])
    for change in changes:
        match change:
            case Answer(outcome=Refused() | Unknown()):
                _not_accepted(change)
            case NotWritten():
                _not_written(change)
            case LostLease():
                attempts.note_lost_lease(change.claim)


def _not_accepted(answer: Answer) -> None:
    delivery = _held(answer.claim)
    if delivery is None:
        attempts.note_lost_lease(answer.claim)
        return
    assert not isinstance(answer.outcome, Accepted)
    failure = answer.outcome.failure
    attempt = attempts.open_one(delivery)
    attempt.ms = answer.ms
    attempt.phases = answer.phases.phases
    attempt.ip = delivery.ip = answer.phases.ip or failure.ip or delivery.ip
    attempt.tls = answer.phases.tls
    if isinstance(answer.outcome, Refused):
        _refused(delivery, attempt, failure, db.session.get(Sender, answer.sender_id))
        suppressions.note(delivery, failure)
    else:
        _unknown(delivery, attempt, failure)
    _let_go(delivery)


def _not_written(change: NotWritten) -> None:
    delivery = _held(change.claim)
    if delivery is None:
        attempts.note_lost_lease(change.claim)
        return
    attempt = attempts.open_one(delivery)
    attempt.phase, delivery.next_attempt_at = "render", None
    if change.problem is None:
        # It waits for a worker that starts with the key.
        attempt.outcome, attempt.cause = AttemptOutcome.DEFERRED, SEALED
        attempt.is_route_fault = True
        delivery.state, delivery.reason = State.HELD, SEALED
    else:
        # Final: another try would write the same.
        attempt.outcome, attempt.cause = AttemptOutcome.FAILED, "render"
        attempt.reply = change.problem[:500]
        delivery.state, delivery.reason = State.FAILED, "render"
        aside.forget_secrets([delivery.id])
    _let_go(delivery)


def _held(claimed: Claim) -> Delivery | None:
    return db.session.scalar(
        select(Delivery)
        .where(claimed.holds)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _refused(delivery: Delivery, attempt: Attempt, failure: Failure, sender: Sender | None) -> None:
    _note(delivery, attempt, failure)
    failure_class = classify(failure)
    now = utcnow()
    is_fault = failure_class is FailureClass.ROUTE_FAULT
    other = is_fault and _has_other_route(delivery, sender, now)
    alone = is_fault and not other and _is_alone(delivery, failure, sender, now)
    if alone:
        failure_class = FailureClass.TEMPORARY
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
            health.fails(sender, failure, now)
            delivery.state = State.QUEUED if other else State.HELD
            delivery.reason = FAILOVER if other else health.SENDER_FAILING
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
            aside.forget_secrets([delivery.id])
        case AskSomeone():
            raise AssertionError("a refusal is never unknown")
    if failure_class is not FailureClass.ROUTE_FAULT:
        if failure.phase in _IN_SESSION and not alone:
            health.works(sender)
        else:
            health.is_late(sender, now)


def _is_alone(delivery: Delivery, failure: Failure, sender: Sender | None, now: datetime) -> bool:
    """Whether the server refuses this mail as if the route were at fault, and takes others.

    It took one a moment ago, or since it last refused this one. A quota is used up from one mail to
    the next, so that only the second counts there. The mail is tried again for as long as it lives.
    """
    works_at = sender.last_success_at if sender else None
    if works_at is None or failure.phase not in _AFTER_MAIL:
        return False
    if failure.cause != Cause.QUOTA and now - works_at < _JUST_NOW:
        return True
    refused_at = db.session.scalar(
        select(func.max(Attempt.started_at)).where(
            Attempt.delivery_id == delivery.id,
            Attempt.is_route_fault,
            Attempt.phase.in_(_AFTER_MAIL),
        )
    )
    return refused_at is not None and refused_at < works_at


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


def _let_go(delivery: Delivery) -> None:
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.dot_pending = False
