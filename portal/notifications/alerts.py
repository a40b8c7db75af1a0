"""Alerts: raised, repeated, resolved; one transaction with the mail that tells of them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import new_id, utcnow
from portal.delivery.models import Delivery
from portal.delivery.outbox import Enqueued
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY, Category
from portal.notifications import routing, telling
from portal.notifications.models import Alert, AlertStatus, Severity
from portal.notifications.recipients import (
    Omitted,
    Recipients,
    choose,
    parse_audience,
    people_of,
    refuse_too_many,
)
from portal.notifications.resources import Resource
from portal.validation import Invalid, one_line, plain_text

_KIND = BY_KEY["alert.raised"]


@dataclass(frozen=True)
class Raise:
    """What a caller says of an alert, checked. `recipients` None: the routing rules choose."""

    title: str
    severity: Severity
    text: str | None = None
    dedupe_key: str | None = None
    resource: Resource = field(default_factory=Resource)
    labels: Mapping[str, str] = field(default_factory=dict)
    starts_at: datetime | None = None
    recipients: Sequence[str] | None = None


@dataclass(frozen=True)
class Raised:
    """The alert, whether it was known already, the mail that this call made, and who gets none
    of it."""

    alert: Alert
    repeated: bool
    told: Enqueued | None = None
    left_out: Sequence[Omitted] = ()

    @property
    def deliveries(self) -> Sequence[Delivery]:
        return self.told.deliveries if self.told else ()


def parse_raise(
    *,
    title: str,
    severity: str,
    text: str | None = None,
    dedupe_key: str | None = None,
    resource: Resource | None = None,
    labels: Mapping[str, Any] | None = None,
    starts_at: datetime | None = None,
    recipients: Sequence[object] | None = None,
) -> Raise:
    """Check what was said. Raises Invalid."""
    title = one_line("title", title, longest=300)
    if not title:
        raise Invalid.field("title", "Say in one line what happened.")
    return Raise(
        title=title,
        severity=_severity(severity),
        text=plain_text("text", text, longest=20_000) or None if text else None,
        dedupe_key=one_line("dedupe_key", dedupe_key, longest=300) or None if dedupe_key else None,
        resource=resource or Resource(),
        labels=_labels(labels or {}),
        starts_at=starts_at,
        recipients=None if recipients is None else _named(recipients),
    )


def raise_alert(
    organization: Organization,
    said: Raise,
    *,
    actor: Actor,
    new_alert_id: uuid.UUID | None = None,
) -> Raised:
    """Store the alert and enqueue its mail; a repeat of one that still fires only counts.

    `new_alert_id` gives it this id, so that a form that is posted twice is known. Raises Invalid.
    The caller commits.
    """
    alert_id = new_alert_id or new_id()
    known = find(organization, alert_id) or _open_alert(organization, said.dedupe_key)
    if known is not None:
        return _repeat(known)
    try:
        with db.session.begin_nested():
            alert = _store(organization, said, actor, alert_id)
    except IntegrityError:
        # Its twin was stored a moment ago, in another process.
        twin = find(organization, alert_id) or _open_alert(organization, said.dedupe_key)
        if twin is None:
            raise Invalid.field("title", "Open the form again and send it once more.") from None
        return _repeat(twin)
    recipients = _recipients(organization, said)
    told = telling.tell(
        organization,
        _KIND,
        recipients,
        data=_data(alert),
        requested_from=actor.ip,
        resource=alert.resource or alert.title[:300],
        resource_url=alert.resource_url or alert_url(organization, alert),
        thread=f"alert-{alert.id.hex}",
    )
    alert.notification_id = told.payload.id
    _record(organization, alert, "alert.raised", actor)
    return Raised(alert, False, told, recipients.omitted)


def resolve_alert(organization: Organization, alert: Alert, *, actor: Actor) -> None:
    """Say that it is over. Resolving twice changes nothing."""
    if alert.status is AlertStatus.RESOLVED:
        return
    alert.status = AlertStatus.RESOLVED
    alert.resolved_at = utcnow()
    alert.open_key = None
    _record(organization, alert, "alert.resolved", actor)


def acknowledge_alert(
    organization: Organization, alert: Alert, *, user_id: uuid.UUID | None, actor: Actor
) -> None:
    """Say that someone is at it."""
    if alert.acknowledged_at is None:
        alert.acknowledged_at = utcnow()
        alert.acknowledged_by = user_id
        _record(organization, alert, "alert.acknowledged", actor)


def resolve_by_key(
    organization: Organization, dedupe_key: str | None, *, actor: Actor
) -> Alert | None:
    """Resolve the alert that fires under this key, if any. Raises Invalid without a key."""
    if not dedupe_key:
        raise Invalid.field("dedupe_key", "Give the key of the alert that is resolved.")
    alert = _open_alert(organization, dedupe_key)
    if alert is not None:
        resolve_alert(organization, alert, actor=actor)
    return alert


def find(organization: Organization, alert_id: uuid.UUID) -> Alert | None:
    return db.session.scalar(
        select(Alert).where(Alert.organization_id == organization.id, Alert.id == alert_id)
    )


def latest(
    organization: Organization,
    *,
    status: AlertStatus | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> list[Alert]:
    """Newest first, at most `limit`; `before` is the id of the last one of the page before."""
    wanted = select(Alert).where(Alert.organization_id == organization.id)
    if status is not None:
        wanted = wanted.where(Alert.status == status)
    if before is not None:
        wanted = wanted.where(Alert.id < before)
    return list(db.session.scalars(wanted.order_by(Alert.id.desc()).limit(limit)))


def alert_url(organization: Organization, alert: Alert) -> str:
    """The alert's page."""
    base = current_app.extensions["config"].base_url
    return f"{base}/organizations/{organization.slug}/alerts/{alert.id}"


def _store(organization: Organization, said: Raise, actor: Actor, alert_id: uuid.UUID) -> Alert:
    now = utcnow()
    alert = Alert(
        id=alert_id,
        organization_id=organization.id,
        title=said.title,
        severity=said.severity,
        status=AlertStatus.FIRING,
        dedupe_key=said.dedupe_key,
        open_key=said.dedupe_key,
        text=said.text,
        resource=said.resource.name,
        resource_url=said.resource.url,
        resource_type=said.resource.type,
        labels=dict(said.labels),
        raised_by=actor.name,
        starts_at=said.starts_at or now,
        last_seen_at=now,
    )
    db.session.add(alert)
    db.session.flush()
    return alert


def _repeat(alert: Alert) -> Raised:
    alert.repeats = Alert.repeats + 1
    alert.last_seen_at = utcnow()
    db.session.flush()
    return Raised(alert, True)


def _open_alert(organization: Organization, dedupe_key: str | None) -> Alert | None:
    if dedupe_key is None:
        return None
    return db.session.scalar(
        select(Alert).where(Alert.organization_id == organization.id, Alert.open_key == dedupe_key)
    )


def _recipients(organization: Organization, said: Raise) -> Recipients:
    audience = said.recipients
    if audience is None:
        rules = routing.rules_of(organization)
        audience = routing.audience_for(rules, Category.ALERT, said.severity)
    return choose(people_of(organization), audience)


def _data(alert: Alert) -> dict[str, Any]:
    organization = db.session.get_one(Organization, alert.organization_id)
    return {
        "title": alert.title,
        "severity": alert.severity.value,
        "text": alert.text,
        "resource_name": alert.resource,
        "resource_url": alert.resource_url,
        "starts_at": alert.starts_at.isoformat(),
        "raised_by": alert.raised_by,
        "alert_url": alert_url(organization, alert),
    }


def _severity(raw: str) -> Severity:
    try:
        return Severity(raw)
    except ValueError:
        raise Invalid.field("severity", "Choose one of info, warning, error, critical.") from None


def _labels(raw: Mapping[str, Any]) -> dict[str, str]:
    if len(raw) > 50:
        raise Invalid.field("labels", "Give at most 50 labels.")
    return {
        one_line("labels", str(key), longest=100): one_line(
            f"labels.{key}", str(value), longest=300
        )
        for key, value in raw.items()
    }


def _named(recipients: Sequence[object]) -> list[str]:
    if not recipients:
        raise Invalid.field(
            "recipients", "Name at least one recipient, or leave this out for the routing rules."
        )
    refuse_too_many("recipients", len(recipients), "Split them over several alerts.")
    return parse_audience("recipients", recipients)


def _record(organization: Organization, alert: Alert, action: str, actor: Actor) -> None:
    audit.record(
        actor, action, organization_id=organization.id, object_type="alert", object_id=alert.id
    )
