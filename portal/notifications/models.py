"""Alerts, approvals, routing rules and the people who were left out of a notification."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.clock import new_id, utcnow
from portal.database import JsonColumn, UtcDateTime, text_enum
from portal.extensions import db
from portal.identity.models import User


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class AlertStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


class RoutingRule(db.Model):
    """Who is told of a category in an organization, from a minimum severity on.

    `audience` holds entries such as "role:administrator", "user:bob@acme.test".
    """

    __tablename__ = "routing_rules"
    __table_args__ = (
        Index("ix_routing_rules_organization_id_position", "organization_id", "position"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id"))
    position: Mapped[int] = mapped_column(default=0)
    category: Mapped[str] = mapped_column(String(32))
    minimum_severity: Mapped[Severity] = mapped_column(text_enum(Severity), default=Severity.INFO)
    audience: Mapped[list[str]] = mapped_column(JsonColumn)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Alert(db.Model):
    """Something that happened and that people should know. `open_key` is unique while it fires."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("organization_id", "open_key"),
        Index("ix_alerts_organization_id_id", "organization_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id"))
    notification_id: Mapped[uuid.UUID | None] = mapped_column()
    title: Mapped[str] = mapped_column(String(300))
    severity: Mapped[Severity] = mapped_column(text_enum(Severity))
    status: Mapped[AlertStatus] = mapped_column(text_enum(AlertStatus), default=AlertStatus.FIRING)
    dedupe_key: Mapped[str | None] = mapped_column(String(300))
    open_key: Mapped[str | None] = mapped_column(String(300))
    text: Mapped[str | None] = mapped_column(Text)
    resource: Mapped[str | None] = mapped_column(String(300))
    resource_url: Mapped[str | None] = mapped_column(String(2000))
    resource_type: Mapped[str | None] = mapped_column(String(100))
    labels: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    raised_by: Mapped[str] = mapped_column(String(200))
    repeats: Mapped[int] = mapped_column(default=0)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Approval(db.Model):
    """A question that named people decide. The first decision wins (policy any)."""

    __tablename__ = "approvals"
    __table_args__ = (Index("ix_approvals_organization_id_id", "organization_id", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id"))
    notification_id: Mapped[uuid.UUID | None] = mapped_column()
    version: Mapped[int] = mapped_column(default=1)
    title: Mapped[str] = mapped_column(String(300))
    text: Mapped[str | None] = mapped_column(Text)
    resource: Mapped[str | None] = mapped_column(String(300))
    resource_url: Mapped[str | None] = mapped_column(String(2000))
    policy: Mapped[str] = mapped_column(String(16), default="any")
    state: Mapped[ApprovalState] = mapped_column(
        text_enum(ApprovalState), default=ApprovalState.PENDING
    )
    requested_by: Mapped[str] = mapped_column(String(254))
    requester_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    approvers: Mapped[list["Approver"]] = relationship(back_populates="approval")


class Approver(db.Model):
    """One named approver, the SHA-256 of the token that was mailed, and the decision, if any."""

    __tablename__ = "approvers"
    __table_args__ = (UniqueConstraint("approval_id", "user_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organizations.id"))
    approval_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approvals.id"))
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    visits: Mapped[int] = mapped_column(default=0)
    last_visit_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decision: Mapped[Verdict | None] = mapped_column(text_enum(Verdict))
    comment: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    approval: Mapped[Approval] = relationship(back_populates="approvers")
    user: Mapped[User] = relationship()


class LeftOut(db.Model):
    """A person who was considered for a notification and not mailed, and why."""

    __tablename__ = "left_out"
    __table_args__ = (
        Index("ix_left_out_organization_id_notification_id", "organization_id", "notification_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    notification_id: Mapped[uuid.UUID] = mapped_column()
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    entry: Mapped[str] = mapped_column(String(254))
    reason: Mapped[str] = mapped_column(String(64))


class IdempotentAnswer(db.Model):
    """The first answer to a POST with an Idempotency-Key, kept for 24 hours.

    `answer` is sealed by the vault, because an answer may hold a secret. Written in the business
    transaction; its unique key makes a twin wait for it.
    """

    __tablename__ = "idempotent_answers"
    __table_args__ = (UniqueConstraint("scope", "key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    scope: Mapped[str] = mapped_column(String(36))
    key: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column()
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
