"""Asking for an approval: checked, stored, and told to each approver by mail.

Every approver gets links of their own, which name them and decide nothing by themselves.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from portal.audit.log import Actor
from portal.clock import new_id, utcnow
from portal.delivery.models import Delivery
from portal.delivery.outbox import Enqueued
from portal.extensions import db
from portal.identity.models import Organization, User
from portal.identity.tokens import digest, new_secret
from portal.kinds import BY_KEY
from portal.notifications import approvals, telling
from portal.notifications.models import Approval, Approver, Verdict
from portal.notifications.recipients import (
    Chosen,
    LeftOutReason,
    Omitted,
    Person,
    Recipients,
    choose,
    parse_audience,
    people_of,
    refuse_too_many,
)
from portal.notifications.resources import Resource
from portal.notifications.telling import Secrets
from portal.validation import FieldError, Invalid, address_key, one_line, plain_text

_LASTS = timedelta(days=7)
_LONGEST = timedelta(days=90)
_MOST_REFUSED = 100
_CURES = {
    LeftOutReason.NOT_A_MEMBER: " is not a member of this organization; invite them first or name "
    "someone else.",
    LeftOutReason.NOT_VERIFIED: " has no verified address; name someone else.",
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
    """The approval, the mail that asks for it, and who gets none. `told` None: it was known."""

    approval: Approval
    told: Enqueued | None = None
    left_out: Sequence[Omitted] = ()

    @property
    def deliveries(self) -> Sequence[Delivery]:
        return self.told.deliveries if self.told else ()


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
    refuse_too_many("approvers", len(approvers), "Name a role, for example role:member.")
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
    if (twin := approvals.find(organization, approval_id)) is not None:
        return Requested(twin)
    people = people_of(organization)
    recipients = _approvers(people, asked.audience)
    try:
        with db.session.begin_nested():
            asker = _requester(people, asked, requester)
            approval = _store(organization, asked, actor, asker, approval_id)
    except IntegrityError:
        # Its twin was stored a moment ago, in another process.
        if (twin := approvals.find(organization, approval_id)) is None:
            message = "Open the form again and send it once more."
            raise Invalid.field("title", message) from None
        return Requested(twin)
    told = telling.tell(
        organization,
        BY_KEY["approval.requested"],
        recipients,
        data=approvals.data_of(approval),
        requested_from=actor.ip,
        resource=approval.resource or approval.title,
        resource_url=approval.resource_url or approvals.approval_url(organization, approval),
        expires_at=approval.expires_at,
        thread=approvals.thread_of(approval),
        secrets=_links(approval, recipients),
    )
    approval.notification_id = told.payload.id
    approvals.record(approval, "approval.requested", actor)
    return Requested(approval, told, recipients.omitted)


def _links(approval: Approval, recipients: Recipients) -> Secrets:
    """The links of each letter. Their secret is stored as its digest."""
    secrets = {chosen.person.user_id: new_secret() for chosen in recipients.chosen if chosen.person}
    for user_id, secret in secrets.items():
        db.session.add(
            Approver(
                organization_id=approval.organization_id,
                approval_id=approval.id,
                user_id=user_id,
                token_hash=digest(secret),
            )
        )

    def links(chosen: Chosen) -> Mapping[str, str]:
        secret = secrets[chosen.person.user_id] if chosen.person else ""
        return {
            "approve_url": approvals.decision_url(secret, Verdict.APPROVED),
            "reject_url": approvals.decision_url(secret, Verdict.REJECTED),
        }

    return links


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
            for entry, reason in refused[:_MOST_REFUSED]
        )
    if not recipients.chosen:
        raise Invalid.field("approvers", "Nobody has this role; name a member by address.")
    return recipients


def _requester(people: Sequence[Person], asked: Request, requester: User | None) -> Person | None:
    wanted = requester.email if requester is not None else asked.requested_by
    if not wanted:
        return None
    key = address_key(wanted)
    return next((p for p in people if address_key(p.address) == key), None)


def _checked_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is None:
        return None
    now = utcnow()
    if not now < expires_at <= now + _LONGEST:
        raise Invalid.field("expires_at", "Choose a time in the next 90 days.")
    return expires_at
