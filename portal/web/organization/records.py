"""An organization's sending records."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.web import records_pages
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
