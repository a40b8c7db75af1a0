"""Sending records of the whole host."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.policy import Permission
from portal.web import records_pages
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires
from portal.web.records_pages import Place

_HOST = Place(None)


@blueprint.get("/records")
@requires(Permission.HOST_RECORDS_READ)
def records() -> ResponseReturnValue:
    return records_pages.listed(_HOST)


@blueprint.get("/records/<uuid:delivery_id>")
@requires(Permission.HOST_RECORDS_READ)
def record(delivery_id: uuid.UUID) -> ResponseReturnValue:
    return records_pages.shown(_HOST, delivery_id)


@blueprint.get("/records/<uuid:delivery_id>/letter")
@requires(Permission.HOST_RECORDS_READ)
def record_letter(delivery_id: uuid.UUID) -> ResponseReturnValue:
    return records_pages.letter(_HOST, delivery_id)
