"""The outbox: payloads, deliveries and attempts. The deliveries table is the truth and queue."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.clock import new_id, utcnow
from portal.database import JsonColumn, UtcDateTime, text_enum
from portal.extensions import db


class State(StrEnum):
    """Where a delivery stands; every state has a reason code beside it."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    HELD = "held"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Level(StrEnum):
    """Whose sender carried it."""

    HOST = "host"
    ORGANIZATION = "organization"
    FALLBACK = "fallback"


class AttemptOutcome(StrEnum):
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RECOVERED = "recovered"


class Payload(db.Model):
    """What one notification says: its kind and data. Its id is the notification's id.

    `data` holds no secret; secrets of a single recipient lie sealed in DeliverySecret.
    """

    __tablename__ = "payloads"
    __table_args__ = (
        Index("ix_payloads_organization_id_created_at", "organization_id", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    kind: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    thread: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Delivery(db.Model):
    """One letter for one recipient: queued, sent, retried and kept. On the screen: sending record.

    `lease_owner` and `fence` guard every write of a worker; `lease_until` ends the claim.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_organization_id_id", "organization_id", "id"),
        Index("ix_deliveries_organization_id_state_id", "organization_id", "state", "id"),
        Index("ix_deliveries_organization_id_recipient_id", "organization_id", "recipient", "id"),
        Index(
            "ix_deliveries_state_priority_organization_id_next_attempt_at",
            *("state", "priority", "organization_id", "next_attempt_at"),
        ),
        Index("ix_deliveries_payload_id", "payload_id"),
        Index("ix_deliveries_message_id", "message_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    payload_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payloads.id"))
    kind: Mapped[str] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column()
    recipient: Mapped[str] = mapped_column(String(254))
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    language: Mapped[str] = mapped_column(String(8))
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    subject: Mapped[str] = mapped_column(String(998))
    message_id: Mapped[str] = mapped_column(String(320))
    state: Mapped[State] = mapped_column(text_enum(State), default=State.QUEUED)
    reason: Mapped[str | None] = mapped_column(String(64))
    sender_id: Mapped[uuid.UUID | None] = mapped_column()
    sender: Mapped[str | None] = mapped_column(String(100))
    level: Mapped[Level | None] = mapped_column(text_enum(Level))
    server: Mapped[str | None] = mapped_column(String(253))
    ip: Mapped[str | None] = mapped_column(String(45))
    resource: Mapped[str | None] = mapped_column(String(300))
    resource_url: Mapped[str | None] = mapped_column(String(2000))
    requested_from: Mapped[str | None] = mapped_column(String(45))
    attempt_count: Mapped[int] = mapped_column(default=0)
    recoveries: Mapped[int] = mapped_column(default=0)
    may_be_duplicate: Mapped[bool] = mapped_column(default=False)
    code: Mapped[int | None] = mapped_column()
    enhanced_code: Mapped[str | None] = mapped_column(String(16))
    reply: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repeats_id: Mapped[uuid.UUID | None] = mapped_column()
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fence: Mapped[int] = mapped_column(default=0)
    dot_pending: Mapped[bool] = mapped_column(default=False)

    payload: Mapped[Payload] = relationship()
    attempts: Mapped[list["Attempt"]] = relationship(
        back_populates="delivery", order_by="Attempt.number"
    )


class Attempt(db.Model):
    """One try of a delivery over SMTP. `phases`: a list of {phase, ok, ms} as the session went."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("delivery_id", "number"),
        Index("ix_attempts_organization_id_started_at", "organization_id", "started_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id"))
    number: Mapped[int] = mapped_column()
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ms: Mapped[int | None] = mapped_column()
    worker: Mapped[str | None] = mapped_column(String(64))
    sender: Mapped[str | None] = mapped_column(String(100))
    sender_version: Mapped[str | None] = mapped_column(String(64))
    # Whose From it bore, where another sender of the scope was meant; no foreign key, so that a
    # sender can be deleted.
    from_version_id: Mapped[uuid.UUID | None] = mapped_column()
    server: Mapped[str | None] = mapped_column(String(253))
    ip: Mapped[str | None] = mapped_column(String(45))
    tls: Mapped[str | None] = mapped_column(String(64))
    phase: Mapped[str | None] = mapped_column(String(16))
    cause: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[int | None] = mapped_column()
    enhanced_code: Mapped[str | None] = mapped_column(String(16))
    reply: Mapped[str | None] = mapped_column(Text)
    is_route_fault: Mapped[bool] = mapped_column(default=False)
    phases: Mapped[list[dict[str, Any]]] = mapped_column(JsonColumn, default=list)
    outcome: Mapped[AttemptOutcome | None] = mapped_column(text_enum(AttemptOutcome))

    delivery: Mapped[Delivery] = relationship(back_populates="attempts")


class DeliverySecret(db.Model):
    """The secret variables of one recipient's letter, sealed; deleted when the mail is accepted."""

    __tablename__ = "delivery_secrets"

    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id"), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)


class SendCount(db.Model):
    """A counter of a limit, by its key: how many in each slot of its sliding window.

    `last_turn`: the time, in seconds since the epoch, that was given to the last one that waits.
    """

    __tablename__ = "send_counts"
    __table_args__ = (Index("ix_send_counts_ends_at", "ends_at"),)

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    counts: Mapped[dict[str, int]] = mapped_column(JsonColumn)
    last_turn: Mapped[float | None] = mapped_column()
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Worker(db.Model):
    """A delivery worker that is, or was, alive."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The ids of the deliveries whose letters it is writing, with spaces between.
    doing: Mapped[str | None] = mapped_column(Text)
