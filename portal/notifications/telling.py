"""Turning recipients into deliveries, and writing down who was left out."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from portal.delivery.outbox import Addressee, Enqueued, enqueue
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Kind
from portal.notifications.models import LeftOut
from portal.notifications.recipients import Chosen, Omitted, Recipients

Secrets = Callable[[Chosen], Mapping[str, str]]


def tell(
    organization: Organization,
    kind: Kind,
    recipients: Recipients,
    *,
    data: Mapping[str, Any],
    requested_from: str | None,
    resource: str | None = None,
    resource_url: str | None = None,
    expires_at: datetime | None = None,
    thread: str | None = None,
    secrets: Secrets | None = None,
) -> Enqueued:
    """Enqueue a letter for everyone chosen, in the caller's transaction. Raises Invalid."""
    enqueued = enqueue(
        organization,
        kind,
        data=data,
        addressees=[_addressee(chosen, secrets) for chosen in recipients.chosen],
        requested_from=requested_from,
        resource=resource,
        resource_url=resource_url,
        expires_at=expires_at,
        thread=thread,
    )
    if recipients.omitted:
        rows = [_left_out(organization, enqueued.payload.id, one) for one in recipients.omitted]
        db.session.execute(insert(LeftOut), rows)
    return enqueued


def _addressee(chosen: Chosen, secrets: Secrets | None) -> Addressee:
    person = chosen.person
    return Addressee(
        chosen.address,
        user_id=person.user_id if person else None,
        language=person.language if person else None,
        timezone=person.timezone if person else "UTC",
        secrets=secrets(chosen) if secrets else {},
    )


def _left_out(
    organization: Organization, notification_id: uuid.UUID, omitted: Omitted
) -> dict[str, Any]:
    return {
        "organization_id": organization.id,
        "notification_id": notification_id,
        "user_id": omitted.user_id,
        "entry": omitted.entry,
        "reason": omitted.reason.value,
    }
