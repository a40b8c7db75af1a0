"""The suppression list: addresses whose mailbox is not there, as mail servers said."""

import uuid
from typing import Annotated

from flask import abort
from pydantic import BaseModel, Field

from portal.delivery.suppressions import Suppression
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.records import suppressions
from portal.records.visibility import route_of
from portal.settings.scope import Scope
from portal.smtp.address_faults import AddressFault
from portal.web import guard
from portal.web.api import inputs
from portal.web.api.calls import call
from portal.web.api.pages import PageQuery, cursor
from portal.web.api.times import ShownTime
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class SuppressionShape(BaseModel):
    """One address. `delivery_id`: the mail that was refused last, at `refused_at`; `refusals`: on
    how many days. `rests_until` null: no mail is tried until it is lifted."""

    id: uuid.UUID
    organization: str | None
    address: str
    cause: AddressFault
    code: int | None
    enhanced_code: str | None
    reply: str | None
    delivery_id: uuid.UUID
    refusals: int
    refused_at: ShownTime
    rests_until: ShownTime | None
    created_at: ShownTime

    @classmethod
    def of(cls, row: Suppression, organization: Organization | None) -> "SuppressionShape":
        at_host = guard.principal().actor.is_host
        same = cls.model_fields.keys() - {"organization", "reply"}
        return cls(
            **{name: getattr(row, name) for name in same},
            organization=organization.slug if organization is not None else None,
            reply=route_of(row, level=row.level, at_host=at_host).reply,
        )


class SuppressionList(BaseModel):
    items: list[SuppressionShape]
    next: str | None


class SuppressionQuery(PageQuery):
    """`address` matches whole, in any case of letters; `q` any part of an address."""

    address: Annotated[str | None, Field(max_length=254)] = None
    q: Annotated[str | None, Field(max_length=200)] = None


@blueprint.get("/suppressions")
@blueprint.get("/organizations/<slug:organization>/suppressions")
@call(query=SuppressionQuery, gives=SuppressionList)
@requires(Permission.RECORDS_READ, at_host=Permission.HOST_RECORDS_READ)
def list_suppressions(organization: Organization | None) -> SuppressionList:
    """Addresses that get no mail, newest first. On the bare path a host token reads the list of
    the host's own mail."""
    wanted = inputs.query(SuppressionQuery)
    page = suppressions.search(
        Scope.of(organization),
        address=wanted.address,
        text=wanted.q,
        limit=wanted.limit,
        after=wanted.after,
    )
    items = [SuppressionShape.of(row, organization) for row in page.items]
    return SuppressionList(items=items, next=cursor(page.next))


@blueprint.delete("/suppressions/<uuid:suppression_id>")
@blueprint.delete("/organizations/<slug:organization>/suppressions/<uuid:suppression_id>")
@call(status=204)
@requires(Permission.RECORDS_CHANGE, at_host=Permission.HOST_RECORDS_CHANGE)
def lift_suppression(organization: Organization | None, suppression_id: uuid.UUID) -> None:
    """Lift an address: new mail to it is tried again."""
    scope, actor = Scope.of(organization), guard.principal().actor
    if not suppressions.lift(scope, [suppression_id], actor=actor):
        abort(404)
