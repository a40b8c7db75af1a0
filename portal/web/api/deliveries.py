"""Sending records: list with filters, one with its attempts."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from flask import abort
from pydantic import Field
from sqlalchemy import select

from portal import kinds
from portal.delivery.models import Delivery, Level, State
from portal.delivery.outbox import Enqueued, NewDelivery
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.records import search, unknown
from portal.records.search import Filters
from portal.settings.scope import Scope
from portal.validation import Invalid
from portal.web import guard
from portal.web.api import inputs, shapes
from portal.web.api.calls import call
from portal.web.api.inputs import Input
from portal.web.api.pages import PageQuery, cursor
from portal.web.api.times import Moment
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class DeliveryQuery(PageQuery):
    """All filters together. `organization` is for host tokens on the bare path."""

    state: Annotated[State | None, Field(strict=False)] = None
    kind: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
    resource: str | None = None
    message_id: str | None = None
    notification_id: Annotated[uuid.UUID | None, Field(strict=False)] = None
    q: Annotated[str | None, Field(max_length=200)] = None
    level: Annotated[Level | None, Field(strict=False)] = None
    reason: str | None = None
    organization: str | None = None


@blueprint.get("/deliveries")
@blueprint.get("/organizations/<slug:organization>/deliveries")
@call(query=DeliveryQuery, gives=shapes.DeliveryList)
@requires(Permission.RECORDS_READ, at_host=Permission.HOST_RECORDS_READ)
def list_deliveries(organization: Organization | None) -> shapes.DeliveryList:
    """Sending records, newest first. A host token on the bare path reads everyone's."""
    wanted = inputs.query(DeliveryQuery)
    filters = _filters(wanted, organization)
    if organization is None:
        page = search.search_at_host(filters, limit=wanted.limit, after=wanted.after)
    else:
        page = search.search(organization, filters, limit=wanted.limit, after=wanted.after)
    return shapes.DeliveryList(items=shown(organization, page.items), next=cursor(page.next))


@blueprint.get("/deliveries/<uuid:delivery_id>")
@blueprint.get("/organizations/<slug:organization>/deliveries/<uuid:delivery_id>")
@call(gives=shapes.DeliveryDetail)
@requires(Permission.RECORDS_READ, at_host=Permission.HOST_RECORDS_READ)
def read_delivery(
    organization: Organization | None, delivery_id: uuid.UUID
) -> shapes.DeliveryDetail:
    """One sending record with its attempts."""
    if organization is None:
        found = search.find_at_host(delivery_id)
    else:
        found = search.find(organization, delivery_id)
    delivery = found or abort(404)
    slugs = _slugs(organization, [delivery])
    return shapes.DeliveryDetail.of(
        delivery,
        organization=slugs.get(delivery.organization_id),
        at_host=guard.principal().actor.is_host,
    )


@blueprint.post("/deliveries/<uuid:delivery_id>/confirm")
@blueprint.post("/organizations/<slug:organization>/deliveries/<uuid:delivery_id>/confirm")
@call(takes=Input, gives=shapes.DeliveryShape)
@requires(Permission.RECORDS_CHANGE, at_host=Permission.HOST_RECORDS_CHANGE)
def confirm_delivery(
    organization: Organization | None, delivery_id: uuid.UUID
) -> shapes.DeliveryShape:
    """Say of a mail whose outcome is unknown that it arrived."""
    inputs.body(Input)
    delivery = _own(organization, delivery_id)
    unknown.confirm(delivery, actor=guard.principal().actor)
    return shown(organization, [delivery])[0]


@blueprint.post("/deliveries/<uuid:delivery_id>/retry")
@blueprint.post("/organizations/<slug:organization>/deliveries/<uuid:delivery_id>/retry")
@call(takes=Input, gives=shapes.DeliveryShape)
@requires(Permission.RECORDS_CHANGE, at_host=Permission.HOST_RECORDS_CHANGE)
def retry_delivery(
    organization: Organization | None, delivery_id: uuid.UUID
) -> shapes.DeliveryShape:
    """Send a mail whose outcome is unknown anyway: there may be a second copy. In place of
    security mail a new link is mailed, and this record ends as cancelled."""
    inputs.body(Input)
    delivery = _own(organization, delivery_id)
    unknown.send_anyway(delivery, actor=guard.principal().actor)
    return shown(organization, [delivery])[0]


def shown(
    organization: Organization | None, deliveries: Sequence[Delivery]
) -> list[shapes.DeliveryShape]:
    """Deliveries as the caller may see them."""
    slugs = _slugs(organization, deliveries)
    at_host = guard.principal().actor.is_host
    return [
        shapes.DeliveryShape.of(
            delivery, organization=slugs.get(delivery.organization_id), at_host=at_host
        )
        for delivery in deliveries
    ]


def announced(organization: Organization, told: Enqueued | None) -> list[shapes.DeliveryShape]:
    """The deliveries that a call has just made, as `shown` would show them, reading none back."""
    if told is None:
        return []
    alike = dict.fromkeys(shapes.DeliveryShape.model_fields) | {
        "notification_id": told.payload.id,
        "organization": organization.slug,
        "kind": told.payload.kind,
        "resource": told.resource,
        "requested_from": told.requested_from,
        "attempt_count": 0,
        "may_be_duplicate": False,
        "created_at": told.payload.created_at,
    }
    own = shapes.DeliveryShape.model_fields.keys() & set(NewDelivery._fields)
    return [
        shapes.DeliveryShape.model_construct(**alike | {name: getattr(row, name) for name in own})
        for row in told.rows
    ]


def _own(organization: Organization | None, delivery_id: uuid.UUID) -> Delivery:
    """The record of this scope, to be changed: on a bare path one of the host's own mail."""
    return unknown.find(Scope.of(organization), delivery_id) or abort(404)


def _filters(wanted: DeliveryQuery, organization: Organization | None) -> Filters:
    named = None
    if wanted.organization is not None and organization is None:
        named = organizations.by_slug(wanted.organization)
        if named is None:
            raise Invalid.field("organization", f"There is no {wanted.organization} here.")
    elif organization is not None and wanted.organization not in (None, organization.slug):
        raise Invalid.field("organization", "The path says which organization this is.")
    if wanted.kind is not None and wanted.kind not in kinds.BY_KEY:
        raise Invalid.field("kind", f"There is no such kind. Known: {', '.join(kinds.BY_KEY)}.")
    if wanted.since and wanted.until and wanted.until < wanted.since:
        raise Invalid.field("to", "Give a time that is not before from.")
    values = wanted.model_dump(exclude={"limit", "after", "q", "organization"})
    return Filters(**values, text=wanted.q, organization_id=named.id if named else None)


def _slugs(
    organization: Organization | None, deliveries: Sequence[Delivery]
) -> dict[uuid.UUID | None, str | None]:
    if organization is not None:
        return {organization.id: organization.slug}
    ids = {delivery.organization_id for delivery in deliveries} - {None}
    rows = db.session.execute(
        select(Organization.id, Organization.slug).where(Organization.id.in_(ids))
    )
    return {row.id: row.slug for row in rows}
