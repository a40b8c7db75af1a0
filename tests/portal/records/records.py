"""Sending records for tests, made through the outbox."""

import uuid
from datetime import datetime

from portal.audit.log import SYSTEM
from portal.delivery import suppressions
from portal.delivery.models import Delivery, Level
from portal.delivery.suppressions import Suppression
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications import alerts
from portal.notifications.resources import Resource
from portal.settings.scope import Scope
from portal.smtp.address_faults import AddressFault
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


def listed(
    scope: Scope,
    address: str,
    *,
    delivery_id: uuid.UUID | None = None,
    server: str | None = None,
) -> Suppression:
    """An entry of a suppression list, as if the host's sender had met a refusal; commits."""
    entry = Suppression(
        organization_id=scope.organization_id,
        key=suppressions.key_of(scope.organization_id, address),
        address=address,
        cause=AddressFault.NO_SUCH_MAILBOX,
        code=550,
        enhanced_code="5.1.1",
        reply="5.1.1 User unknown",
        level=Level.HOST,
        server=server,
        delivery_id=delivery_id or uuid.uuid4(),
    )
    db.session.add(entry)
    db.session.commit()
    return entry


def ids(deliveries: list[Delivery]) -> set[uuid.UUID]:
    return {delivery.id for delivery in deliveries}
