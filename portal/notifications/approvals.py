"""Approvals: decided once by a named person, told to everyone concerned.

A link in a mail never decides: it leads to a page, and the decision is a POST of the signed-in
approver. The first decision wins by one conditional update.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import select, update

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery import sweeping
from portal.extensions import db
from portal.identity.models import Organization
from portal.identity.tokens import digest
from portal.kinds import BY_KEY
from portal.notifications import telling
from portal.notifications.models import Approval, ApprovalState, Approver, Verdict
from portal.notifications.recipients import (
    Chosen,
    Omitted,
    Recipients,
    people_of,
)
from portal.validation import plain_text

_OUTCOME = {
    ApprovalState.APPROVED: BY_KEY["approval.approved"],
    ApprovalState.REJECTED: BY_KEY["approval.rejected"],
}


@dataclass(frozen=True)
class Decided:
    """`won` False: someone decided before; `approval` says who and how."""

    approval: Approval
    won: bool


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
    record(approval, f"approval.{verdict.value}", actor)
    return Decided(approval, True)


def withdraw(approval: Approval, *, actor: Actor) -> bool:
    """Take a pending request back. Returns whether it was still pending. The caller commits."""
    won = _leave_pending(approval, ApprovalState.WITHDRAWN)
    if won:
        record(approval, "approval.withdrawn", actor)
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
        data=data_of(approval)
        | {
            "decided_by": decided_by,
            "decided_at": (approval.decided_at or utcnow()).isoformat(),
            "comment": comment,
            "approval_url": approval_url(organization, approval),
        },
        requested_from=None,
        resource=approval.resource or approval.title,
        resource_url=approval.resource_url or approval_url(organization, approval),
        thread=thread_of(approval),
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


def data_of(approval: Approval) -> dict[str, Any]:
    """What the letters about it say."""
    return {
        "title": approval.title,
        "text": approval.text,
        "resource_name": approval.resource,
        "resource_url": approval.resource_url,
        "requested_by": approval.requested_by,
        "expires_at": approval.expires_at.isoformat(),
    }


def thread_of(approval: Approval) -> str:
    """What all mails about it refer to."""
    return f"approval-{approval.id.hex}"


def record(approval: Approval, action: str, actor: Actor) -> None:
    """Into the audit log; the caller commits."""
    audit.record(
        actor,
        action,
        organization_id=approval.organization_id,
        object_type="approval",
        object_id=approval.id,
    )
