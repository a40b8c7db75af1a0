"""Sending records of the whole host."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.policy import Permission
from portal.records.unknown import Act
from portal.web import records_pages, restored_pages, suppression_pages, unknown_pages
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


@blueprint.get("/records/unknown")
@requires(Permission.HOST_RECORDS_READ)
def records_unknown() -> ResponseReturnValue:
    return unknown_pages.listed(_HOST)


@blueprint.post("/records/unknown/confirm")
@requires(Permission.HOST_RECORDS_CHANGE)
def records_unknown_confirm() -> ResponseReturnValue:
    return unknown_pages.decided(_HOST, Act.CONFIRM)


@blueprint.post("/records/unknown/send")
@requires(Permission.HOST_RECORDS_CHANGE)
def records_unknown_send() -> ResponseReturnValue:
    return unknown_pages.decided(_HOST, Act.SEND)


@blueprint.post("/records/send-restored")
@requires(Permission.HOST_RECORDS_CHANGE)
def records_send_restored() -> ResponseReturnValue:
    return restored_pages.sent()


@blueprint.get("/records/suppressions")
@requires(Permission.HOST_RECORDS_READ)
def records_suppressions() -> ResponseReturnValue:
    return suppression_pages.listed(_HOST)


@blueprint.post("/records/suppressions/lift")
@requires(Permission.HOST_RECORDS_CHANGE)
def records_suppressions_lift() -> ResponseReturnValue:
    return suppression_pages.lifted(_HOST)
