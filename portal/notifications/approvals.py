"""Approvals: requested of named people by mail, decided once, told to everyone concerned.

A link in a mail never decides: it leads to a page, and the decision is a POST of the signed-in
approver. The first decision wins by one conditional update.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import new_id, utcnow
from portal.database import rows_changed
from portal.delivery import sweeping
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity.models import Organization, User
from portal.identity.tokens import digest, new_secret
from portal.kinds import BY_KEY
from portal.notifications import telling
from portal.notifications.models import Approval, ApprovalState, Approver, Verdict
from portal.notifications.recipients import (
    Chosen,
    LeftOutReason,
    Omitted,
    Person,
    Recipients,
    choose,
    parse_audience,
    people_of,
)
from portal.notifications.resources import Resource
from portal.validation import FieldError, Invalid, one_line, plain_text

_LASTS = timedelta(days=7)
_LONGEST = timedelta(days=90)
_CURES = {
    LeftOutReason.NOT_A_MEMBER: " is not a member of this organization; invite them first or name "
    "someone else.",
    LeftOutReason.NOT_VERIFIED: " has no verified address; name someone else.",
}
_OUTCOME = {
    ApprovalState.APPROVED: BY_KEY["approval.approved"],
    ApprovalState.REJECTED: BY_KEY["approval.rejected"],
}


@dataclass(frozen=True)
class Request:
    """What a caller asks for, checked. `requested_by` is a person's address or a system's name."""

    title: str
    audience: Sequence[str]
    text: str | None = None
    resource: Resource = field(default_factory=Resource)
    expires_at: datetime | None = None
    requested_by: str | None = None


@dataclass(frozen=True)
class Requested:
    approval: Approval
    deliveries: Sequence[Delivery]


@dataclass(frozen=True)
class Decided:
    """`won` False: someone decided before; `approval` says who and how."""

    approval: Approval
    won: bool


def parse_request(
    *,
    title: str,
    approvers: Sequence[object],
    text: str | None = None,
    resource: Resource | None = None,
    policy: object = "any",
    expires_at: datetime | None = None,
    requested_by: str | None = None,
) -> Request:
    """Check what was asked. Raises Invalid."""
    title = one_line("title", title, longest=300)
    if not title:
        raise Invalid.field("title", "Say in one line what should be approved.")
    if policy != "any":
        raise Invalid.field("policy", 'Use "any": the first decision of a named approver counts.')
    if not approvers:
        raise Invalid.field("approvers", "Name at least one approver, for example ann@acme.test.")
    return Request(
        title=title,
        audience=parse_audience("approvers", approvers),
        text=plain_text("text", text, longest=20_000) or None if text else None,
        resource=resource or Resource(),
        expires_at=_checked_expiry(expires_at),
        requested_by=one_line("requested_by", requested_by, longest=254) if requested_by else None,
    )


def request_approval(
    organization: Organization,
    asked: Request,
    *,
    actor: Actor,
    requester: User | None = None,
    new_approval_id: uuid.UUID | None = None,
) -> Requested:
    """Store the approval and enqueue a letter to each approver. Raises Invalid. Caller commits.

    `new_approval_id` gives it this id, so that a form that is posted twice asks once.
    """
    approval_id = new_approval_id or new_id()
    if (twin := find(organization, approval_id)) is not None:
        return Requested(twin, ())
    people = people_of(organization)
    recipients = _approvers(people, asked.audience)
    try:
        with db.session.begin_nested():
            asker = _requester(people, asked, requester)
            approval = _store(organization, asked, actor, asker, approval_id)
    except IntegrityError:
        # Its twin was stored a moment ago, in another process.
        if (twin := find(organization, approval_id)) is None:
            message = "Open the form again and send it once more."
            raise Invalid.field("title", message) from None
        return Requested(twin, ())
    secrets = {chosen.person.user_id: new_secret() for chosen in recipients.chosen if chosen.person}
    for user_id, secret in secrets.items():
        db.session.add(
            Approver(
                organization_id=organization.id,
                approval_id=approval.id,
                user_id=user_id,
                token_hash=digest(secret),
            )
        )

    def links(chosen: Chosen) -> Mapping[str, str]:
        secret = secrets[chosen.person.user_id] if chosen.person else ""
        return {
            "approve_url": decision_url(secret, Verdict.APPROVED),
            "reject_url": decision_url(secret, Verdict.REJECTED),
        }

    told = telling.tell(
        organization,
        BY_KEY["approval.requested"],
        recipients,
        data=_data(approval),
        requested_from=actor.ip,
        resource=approval.resource or approval.title,
        resource_url=approval.resource_url or approval_url(organization, approval),
        expires_at=approval.expires_at,
        thread=_thread(approval),
        secrets=links,
    )
    approval.notification_id = told.payload.id
    _record(approval, "approval.requested", actor)
    return Requested(approval, told.deliveries)


def decide(approver: Approver, verdict: Verdict, *, comment: str | None, actor: Actor) -> Decided:
    """Decide in the name of this approver. One conditional update: the first decision wins.

    Tells the requester and the other approvers. The caller commits.
    """
    comment = plain_text("comment", comment, longest=2000) if comment else None
    now = utcnow()
    result = db.session.execute(
        update(Approval)
        .where(
            Approval.id == approver.approval_id,
            Approval.state == ApprovalState.PENDING,
            Approval.expires_at > now,
        )
        .values(state=ApprovalState(verdict.value), decided_at=now)
        .execution_options(synchronize_session=False)
    )
    approval = approver.approval
    db.session.refresh(approval)
    if rows_changed(result) != 1:
        return Decided(approval, False)
    approver.decision, approver.comment, approver.decided_at = verdict, comment, now
    _end(approval, approver.user.name, comment)
    _record(approval, f"approval.{verdict.value}", actor)
    return Decided(approval, True)


def withdraw(approval: Approval, *, actor: Actor) -> bool:
    """Take a pending request back. Returns whether it was still pending. The caller commits."""
    won = _leave_pending(approval, ApprovalState.WITHDRAWN)
    if won:
        _record(approval, "approval.withdrawn", actor)
    return won


def expire_due() -> int:
    """End every pending approval whose time is over, and commit. Returns how many."""
    overdue = db.session.scalars(
        select(Approval).where(
            Approval.state == ApprovalState.PENDING, Approval.expires_at <= utcnow()
        )
    ).all()
    for approval in overdue:
        _leave_pending(approval, ApprovalState.EXPIRED)
    db.session.commit()
    return len(overdue)


def find(organization: Organization, approval_id: uuid.UUID) -> Approval | None:
    return db.session.scalar(
        select(Approval).where(
            Approval.organization_id == organization.id, Approval.id == approval_id
        )
    )


def asked_by(organization_id: uuid.UUID | None, notification_id: uuid.UUID) -> Approval | None:
    """The approval of the organization that this notification asks to decide."""
    return db.session.scalar(
        select(Approval).where(
            Approval.organization_id == organization_id,
            Approval.notification_id == notification_id,
        )
    )


def approver_by_token(secret: str) -> Approver | None:
    """The approver to whom this link was mailed."""
    return db.session.scalar(select(Approver).where(Approver.token_hash == digest(secret)))


def note_visit(approver_id: uuid.UUID) -> None:
    """Count a look at the decision page, by a person or a scanner, and commit."""
    db.session.execute(
        update(Approver)
        .where(Approver.id == approver_id)
        .values(visits=Approver.visits + 1, last_visit_at=utcnow())
        .execution_options(synchronize_session=False)
    )
    db.session.commit()


def state_now(approval: Approval) -> ApprovalState:
    """The state, with an expiry that no job has written down yet."""
    if approval.state is ApprovalState.PENDING and approval.expires_at <= utcnow():
        return ApprovalState.EXPIRED
    return approval.state


def approval_url(organization: Organization, approval: Approval) -> str:
    """The approval's page, which asks for sign-in."""
    base = current_app.extensions["config"].base_url
    return f"{base}/organizations/{organization.slug}/approvals/{approval.id}"


def decision_url(secret: str, verdict: Verdict) -> str:
    """The link in a mail; it shows the request and decides nothing."""
    base = current_app.extensions["config"].base_url
    return f"{base}/decide/{secret}?verdict={verdict.value}"


def _store(
    organization: Organization,
    asked: Request,
    actor: Actor,
    requester: Person | None,
    approval_id: uuid.UUID,
) -> Approval:
    approval = Approval(
        id=approval_id,
        organization_id=organization.id,
        title=asked.title,
        text=asked.text,
        resource=asked.resource.name,
        resource_url=asked.resource.url,
        requested_by=asked.requested_by or actor.name,
        requester_id=requester.user_id if requester else None,
        expires_at=asked.expires_at or utcnow() + _LASTS,
    )
    db.session.add(approval)
    db.session.flush()
    return approval


def _approvers(people: Sequence[Person], audience: Sequence[str]) -> Recipients:
    """Approvers must be members: an outside address is refused, not left out."""
    recipients = choose(people, audience)
    outside = [chosen.entry for chosen in recipients.chosen if chosen.person is None]
    refused = [(entry, LeftOutReason.NOT_A_MEMBER) for entry in outside]
    refused += [
        (omitted.entry, omitted.reason)
        for omitted in recipients.omitted
        if not omitted.entry.startswith("role:")
    ]
    if refused:
        raise Invalid(
            FieldError("approvers", entry.partition(":")[2] + _CURES[reason])
            for entry, reason in refused
        )
    if not recipients.chosen:
        raise Invalid.field("approvers", "Nobody has this role; name a member by address.")
    return recipients


def _requester(people: Sequence[Person], asked: Request, requester: User | None) -> Person | None:
    wanted = requester.email if requester is not None else asked.requested_by
    if not wanted:
        return None
    return next((p for p in people if p.address.casefold() == wanted.casefold()), None)


def _end(approval: Approval, decided_by: str, comment: str | None) -> None:
    """Stop the letters that still ask, and tell how it ended."""
    if approval.notification_id is not None:
        sweeping.cancel_waiting(approval.notification_id, "decided")
    organization = db.session.get_one(Organization, approval.organization_id)
    people = people_of(organization)
    told = {approver.user_id for approver in approval.approvers if approver.decision is None}
    if approval.requester_id is not None:
        told.add(approval.requester_id)
    chosen = tuple(
        Chosen(person.address, person, f"user:{person.address}")
        for person in people
        if person.user_id in told
    )
    omitted: tuple[Omitted, ...] = ()
    telling.tell(
        organization,
        _OUTCOME[approval.state],
        Recipients(chosen, omitted),
        data=_data(approval)
        | {
            "decided_by": decided_by,
            "decided_at": (approval.decided_at or utcnow()).isoformat(),
            "comment": comment,
            "approval_url": approval_url(organization, approval),
        },
        requested_from=None,
        resource=approval.resource or approval.title,
        resource_url=approval.resource_url or approval_url(organization, approval),
        thread=_thread(approval),
    )


def _leave_pending(approval: Approval, state: ApprovalState) -> bool:
    result = db.session.execute(
        update(Approval)
        .where(Approval.id == approval.id, Approval.state == ApprovalState.PENDING)
        .values(state=state)
        .execution_options(synchronize_session=False)
    )
    db.session.refresh(approval)
    won = rows_changed(result) == 1
    if won and approval.notification_id is not None:
        sweeping.cancel_waiting(approval.notification_id, state.value)
    return won


def _data(approval: Approval) -> dict[str, Any]:
    return {
        "title": approval.title,
        "text": approval.text,
        "resource_name": approval.resource,
        "resource_url": approval.resource_url,
        "requested_by": approval.requested_by,
        "expires_at": approval.expires_at.isoformat(),
    }


def _checked_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is None:
        return None
    now = utcnow()
    if not now < expires_at <= now + _LONGEST:
        raise Invalid.field("expires_at", "Choose a time in the next 90 days.")
    return expires_at


def _thread(approval: Approval) -> str:
    return f"approval-{approval.id.hex}"


def _record(approval: Approval, action: str, actor: Actor) -> None:
    audit.record(
        actor,
        action,
        organization_id=approval.organization_id,
        object_type="approval",
        object_id=approval.id,
    )
