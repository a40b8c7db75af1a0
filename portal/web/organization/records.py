"""An organization's sending records."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.records.unknown import Act
from portal.web import records_pages, suppression_pages, unknown_pages
from portal.web.blueprints import organization as blueprint
from portal.web.guard import requires
from portal.web.records_pages import Place


@blueprint.get("/records")
@requires(Permission.RECORDS_READ)
def records(organization: Organization) -> ResponseReturnValue:
    return records_pages.listed(Place(organization))


@blueprint.get("/records/<uuid:delivery_id>")
@requires(Permission.RECORDS_READ)
def record(organization: Organization, delivery_id: uuid.UUID) -> ResponseReturnValue:
    return records_pages.shown(Place(organization), delivery_id)


@blueprint.get("/records/<uuid:delivery_id>/letter")
@requires(Permission.RECORDS_READ)
def record_letter(organization: Organization, delivery_id: uuid.UUID) -> ResponseReturnValue:
    return records_pages.letter(Place(organization), delivery_id)


@blueprint.get("/records/unknown")
@requires(Permission.RECORDS_READ)
def records_unknown(organization: Organization) -> ResponseReturnValue:
    return unknown_pages.listed(Place(organization))


@blueprint.post("/records/unknown/confirm")
@requires(Permission.RECORDS_CHANGE)
def records_unknown_confirm(organization: Organization) -> ResponseReturnValue:
    return unknown_pages.decided(Place(organization), Act.CONFIRM)


@blueprint.post("/records/unknown/send")
@requires(Permission.RECORDS_CHANGE)
def records_unknown_send(organization: Organization) -> ResponseReturnValue:
    return unknown_pages.decided(Place(organization), Act.SEND)


@blueprint.get("/records/suppressions")
@requires(Permission.RECORDS_READ)
def records_suppressions(organization: Organization) -> ResponseReturnValue:
    return suppression_pages.listed(Place(organization))


@blueprint.post("/records/suppressions/lift")
@requires(Permission.RECORDS_CHANGE)
def records_suppressions_lift(organization: Organization) -> ResponseReturnValue:
    return suppression_pages.lifted(Place(organization))
