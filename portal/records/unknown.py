"""Mail whose outcome nobody knows: its final dot went out and no answer came, or the process was
gone. A person decides: it arrived, or it is sent again."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import utcnow
from portal.delivery import aside, counting
from portal.delivery.counting import Count
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity import invitations, users
from portal.identity.models import Organization, User
from portal.kinds import BY_KEY, Kind
from portal.notifications import accounts, approvals
from portal.notifications.models import Approval, ApprovalState
from portal.settings.scope import Scope
from portal.validation import Invalid

CONFIRMED = "confirmed"
SENT_AGAIN = "sent_again"
NEW_LINK = "new_link"


class Act(StrEnum):
    """What a person decides."""

    CONFIRM = "confirm"
    SEND = "send"


@dataclass(frozen=True)
class Left:
    """One mail of a selection that stays as it is, and why."""

    delivery: Delivery
    why: str


@dataclass(frozen=True)
class Decided:
    done: int
    left: Sequence[Left]


def count(organization: Organization) -> Count:
    """How much mail of the organization waits for such a decision."""
    mine = Delivery.organization_id == organization.id
    return counting.count(select(Delivery.id).where(mine, Delivery.state == State.UNKNOWN))


def count_at_host() -> Count:
    """The same of everyone's mail."""
    return counting.count(select(Delivery.id).where(Delivery.state == State.UNKNOWN))


def find(scope: Scope, delivery_id: uuid.UUID) -> Delivery | None:
    """A record of the scope, locked until the end of the transaction; the host's are those of its
    own mail alone."""
    return db.session.scalar(
        select(Delivery)
        .where(
            Delivery.organization_id == scope.organization_id,
            Delivery.id == delivery_id,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def confirm(delivery: Delivery, *, actor: Actor) -> None:
    """It arrived: it counts as accepted from its last try on. Raises Invalid."""
    _check_unknown(delivery)
    delivery.state, delivery.reason = State.ACCEPTED, CONFIRMED
    delivery.accepted_at = _end_of_last_try(delivery)
    aside.forget_secrets([delivery.id])
    _record(delivery, "delivery.confirmed", actor)


def send_anyway(delivery: Delivery, *, actor: Actor) -> None:
    """Send it again, whether or not it arrived; the record says that there may be a second copy.

    Security mail is never repeated: a new link is mailed in its place. Raises Invalid.
    """
    _check_unknown(delivery)
    kind = BY_KEY[delivery.kind]
    if kind.is_security:
        _mail_new_link(delivery, kind, actor)
        delivery.state, delivery.reason = State.CANCELLED, NEW_LINK
        aside.forget_secrets([delivery.id])
        _record(delivery, "delivery.replaced", actor)
        return
    _check_worth_sending(delivery, kind)
    now = utcnow()
    delivery.state, delivery.reason = State.QUEUED, SENT_AGAIN
    delivery.next_attempt_at = now
    delivery.expires_at = max(delivery.expires_at, now + (kind.lifetime or timedelta()))
    delivery.may_be_duplicate = True
    jobs.kick_after_commit()
    _record(delivery, "delivery.sent_again", actor)


def decide(scope: Scope, ids: Sequence[uuid.UUID], act: Act, *, actor: Actor) -> Decided:
    """The same for a selection: what cannot be decided so is left as it is, with the reason.

    Ids of another scope, or of nothing, are passed over.
    """
    done, left = 0, []
    # In one order for everybody: two people with the same selection wait for each other in turn.
    for delivery_id in sorted(set(ids)):
        delivery = find(scope, delivery_id)
        if delivery is None:
            continue
        try:
            with db.session.begin_nested():
                _ACTS[act](delivery, actor=actor)
            done += 1
        except Invalid as invalid:
            left.append(Left(delivery, " ".join(error.message for error in invalid.errors)))
    return Decided(done, left)


_ACTS: dict[Act, Callable[..., None]] = {Act.CONFIRM: confirm, Act.SEND: send_anyway}


def _check_unknown(delivery: Delivery) -> None:
    if delivery.state is not State.UNKNOWN:
        raise Invalid.field(
            "state", f"What became of this mail is known: it is {delivery.state.value}."
        )


def _check_worth_sending(delivery: Delivery, kind: Kind) -> None:
    if kind.key == "mail.test":
        raise Invalid.field(
            "kind", "A test mail is not repeated; send a new one from the page of the sender."
        )
    approval: Approval | None = None
    if kind.key == _REQUEST:
        approval = approvals.asked_by(delivery.organization_id, delivery.payload_id)
    if approval is None or approvals.state_now(approval) is ApprovalState.PENDING:
        return
    raise Invalid.field(
        "kind", f"The approval is {approvals.state_now(approval).value}; nobody needs its mail."
    )


_REQUEST = "approval.requested"


def _mail_new_link(delivery: Delivery, kind: Kind, actor: Actor) -> None:
    user = db.session.get(User, delivery.user_id) if delivery.user_id else None
    if kind.key == "security.invitation" and user is not None:
        organization = (
            db.session.get(Organization, delivery.organization_id)
            if delivery.organization_id
            else None
        )
        link = invitations.of_person(organization, user)
        if link is not None:
            accounts.resend(link, actor=actor)
            return
        raise Invalid.field(
            "kind", "The invitation was accepted or withdrawn; invite the person anew if need be."
        )
    if kind.key == "security.password_recovery" and users.has_account(user):
        accounts.renew_recovery(user, actor=actor)
        return
    raise Invalid.field("kind", "Security mail is not repeated; let the person ask for a new one.")


def _end_of_last_try(delivery: Delivery) -> datetime:
    last = max(delivery.attempts, key=lambda attempt: attempt.number, default=None)
    if last is None:
        return utcnow()
    return last.started_at + timedelta(milliseconds=last.ms or 0)


def _record(delivery: Delivery, action: str, actor: Actor) -> None:
    audit.record(
        actor,
        action,
        organization_id=delivery.organization_id,
        object_type="delivery",
        object_id=delivery.id,
        changes={"state": {"before": State.UNKNOWN.value, "after": delivery.state.value}},
    )
