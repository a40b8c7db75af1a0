"""What the API gives: one shape a thing, with the names of the contract."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from portal.delivery.models import AttemptOutcome, Delivery, Level, State
from portal.identity.models import Organization, OrganizationState
from portal.notifications import approvals
from portal.notifications.models import (
    Alert,
    AlertStatus,
    Approval,
    ApprovalState,
    LeftOut,
    Severity,
    Verdict,
)
from portal.notifications.recipients import LeftOutReason, Omitted
from portal.records import attempts
from portal.records.attempts import ShownAttempt
from portal.records.visibility import route_of
from portal.web.api.times import ShownTime


class ErrorShape(BaseModel):
    pointer: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ErrorShape]


class ResourceShape(BaseModel):
    name: str | None
    url: str | None
    type: str | None = None


class DeliveryShape(BaseModel):
    """One letter for one recipient. Values not yet known are null; so are `server`, `ip` and the
    `reply` of the platform's own server where an organization reads."""

    id: uuid.UUID
    notification_id: uuid.UUID
    organization: str | None
    kind: str
    recipient: str
    subject: str
    sender: str | None
    level: Level | None
    state: State
    reason: str | None
    resource: str | None
    server: str | None
    ip: str | None
    requested_from: str | None
    attempt_count: int
    may_be_duplicate: bool
    created_at: ShownTime
    accepted_at: ShownTime | None
    next_attempt_at: ShownTime | None
    message_id: str
    code: int | None
    reply: str | None

    @classmethod
    def values(cls, row: Delivery, *, organization: str | None, at_host: bool) -> dict[str, Any]:
        route = route_of(row, level=row.level, at_host=at_host)
        same = cls.model_fields.keys() - _DELIVERY_APART
        return {name: getattr(row, name) for name in same} | {
            "notification_id": row.payload_id,
            "organization": organization,
            "server": route.server,
            "ip": route.ip,
            "reply": route.reply,
        }

    @classmethod
    def of(cls, row: Delivery, *, organization: str | None, at_host: bool) -> "DeliveryShape":
        return cls(**cls.values(row, organization=organization, at_host=at_host))


_DELIVERY_APART = {"notification_id", "organization", "server", "ip", "reply", "attempts"}


class AttemptShape(BaseModel):
    """One try of a delivery; `outcome` null: it still runs. `cause`: why it was not accepted."""

    number: int
    started_at: ShownTime
    ms: int | None
    sender: str | None
    server: str | None
    ip: str | None
    phase: str | None
    cause: str | None
    code: int | None
    enhanced_code: str | None
    reply: str | None
    outcome: AttemptOutcome | None

    @classmethod
    def of(cls, shown: ShownAttempt) -> "AttemptShape":
        same = cls.model_fields.keys() - {"server", "ip", "reply", "phase", "cause", "ms"}
        return cls(
            **{name: getattr(shown.attempt, name) for name in same},
            phase=shown.phase,
            cause=shown.cause,
            ms=shown.ms,
            server=shown.route.server,
            ip=shown.route.ip,
            reply=shown.route.reply,
        )


class DeliveryDetail(DeliveryShape):
    attempts: list[AttemptShape]

    @classmethod
    def of(cls, row: Delivery, *, organization: str | None, at_host: bool) -> "DeliveryDetail":
        return cls(
            **cls.values(row, organization=organization, at_host=at_host),
            attempts=[
                AttemptShape.of(attempt)
                for attempt in reversed(attempts.shown(row, at_host=at_host))
            ],
        )


class DeliveryList(BaseModel):
    items: list[DeliveryShape]
    next: str | None


class LeftOutShape(BaseModel):
    """Somebody who gets no mail: the entry that named them, and why."""

    entry: str
    reason: LeftOutReason

    @classmethod
    def all_of(cls, rows: Iterable[Omitted | LeftOut]) -> "list[LeftOutShape]":
        return [cls(entry=row.entry, reason=LeftOutReason(row.reason)) for row in rows]


class Raised(BaseModel):
    """`id` and `notification_id` are null where a resolved alert was not known."""

    id: uuid.UUID | None
    notification_id: uuid.UUID | None
    repeated: bool
    deliveries: list[DeliveryShape]
    left_out: list[LeftOutShape]


class AlertShape(BaseModel):
    id: uuid.UUID
    notification_id: uuid.UUID | None
    title: str
    severity: Severity
    status: AlertStatus
    dedupe_key: str | None
    text: str | None
    resource: ResourceShape | None
    labels: Mapping[str, str]
    raised_by: str
    repeats: int
    starts_at: ShownTime
    last_seen_at: ShownTime
    acknowledged_at: ShownTime | None
    resolved_at: ShownTime | None
    created_at: ShownTime

    @classmethod
    def of(cls, row: Alert) -> "AlertShape":
        same = cls.model_fields.keys() - {"resource"}
        resource = _resource(row.resource, row.resource_url, row.resource_type)
        return cls(**{name: getattr(row, name) for name in same}, resource=resource)


class AlertList(BaseModel):
    items: list[AlertShape]
    next: str | None


class DecisionShape(BaseModel):
    by: str
    decision: Verdict
    at: ShownTime
    comment: str | None


class ApprovalShape(BaseModel):
    id: uuid.UUID
    state: ApprovalState
    notification_id: uuid.UUID | None
    title: str
    text: str | None
    resource: ResourceShape | None
    policy: str
    approvers: list[str]
    requested_by: str
    created_at: ShownTime
    expires_at: ShownTime
    decided_at: ShownTime | None
    decisions: list[DecisionShape]
    deliveries: list[DeliveryShape]
    left_out: list[LeftOutShape]

    @classmethod
    def of(
        cls,
        row: Approval,
        deliveries: Sequence[DeliveryShape],
        left_out: Iterable[Omitted | LeftOut],
    ) -> "ApprovalShape":
        apart = {"state", "resource", "approvers", "decisions", "deliveries", "left_out"}
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields.keys() - apart},
            state=approvals.state_now(row),
            resource=_resource(row.resource, row.resource_url, None),
            approvers=[approver.user.email for approver in row.approvers],
            decisions=_decisions(row),
            deliveries=list(deliveries),
            left_out=LeftOutShape.all_of(left_out),
        )


class OrganizationShape(BaseModel):
    id: uuid.UUID
    slug: str
    name: str
    state: OrganizationState
    members: int
    created_at: ShownTime

    @classmethod
    def of(cls, row: Organization, *, members: int) -> "OrganizationShape":
        same = cls.model_fields.keys() - {"members"}
        return cls(**{name: getattr(row, name) for name in same}, members=members)


class OrganizationList(BaseModel):
    items: list[OrganizationShape]
    next: str | None


def _resource(name: str | None, url: str | None, kind: str | None) -> ResourceShape | None:
    return ResourceShape(name=name, url=url, type=kind) if name or url or kind else None


def _decisions(row: Approval) -> list[DecisionShape]:
    return [
        DecisionShape(
            by=approver.user.email,
            decision=approver.decision,
            at=approver.decided_at,
            comment=approver.comment,
        )
        for approver in row.approvers
        if approver.decision is not None and approver.decided_at is not None
    ]
