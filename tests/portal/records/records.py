"""Sending records for tests, made through the outbox."""

import uuid
from datetime import datetime

from portal.audit.log import SYSTEM
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications import alerts
from portal.notifications.resources import Resource
from tests.cast import Tenant


def organization_of(tenant: Tenant) -> Organization:
    return db.session.get_one(Organization, tenant.id)


def told(
    tenant: Tenant,
    title: str,
    *recipients: str,
    resource: str | None = None,
    created_at: datetime | None = None,
) -> list[Delivery]:
    """The deliveries of an alert that was raised in the organization; commits."""
    raised = alerts.raise_alert(
        organization_of(tenant),
        alerts.parse_raise(
            title=title,
            severity="error",
            resource=Resource(resource) if resource else None,
            recipients=recipients or None,
        ),
        actor=SYSTEM,
    )
    for delivery in raised.deliveries:
        delivery.created_at = created_at or delivery.created_at
    db.session.commit()
    return list(raised.deliveries)


def ids(deliveries: list[Delivery]) -> set[uuid.UUID]:
    return {delivery.id for delivery in deliveries}
