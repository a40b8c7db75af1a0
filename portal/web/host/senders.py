"""The host's senders."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.policy import Permission
from portal.web import sender_form, sender_pages
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires
from portal.web.settings_pages import Place

_HOST = Place(None)


@blueprint.get("/senders")
@requires(Permission.HOST_SETTINGS_READ)
def senders() -> ResponseReturnValue:
    return sender_pages.listed(_HOST)


@blueprint.route("/senders/new", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_new() -> ResponseReturnValue:
    return sender_form.answer(_HOST, None)


@blueprint.get("/senders/<uuid:sender_id>")
@requires(Permission.HOST_SETTINGS_READ)
def sender(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.shown(_HOST, sender_pages.found(_HOST, sender_id))


@blueprint.route("/senders/<uuid:sender_id>/edit", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_edit(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_form.answer(_HOST, sender_pages.found(_HOST, sender_id))


@blueprint.post("/senders/<uuid:sender_id>/default")
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_default(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.make_default(_HOST, sender_pages.found(_HOST, sender_id))


@blueprint.post("/senders/<uuid:sender_id>/enable")
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_enable(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.switch(_HOST, sender_pages.found(_HOST, sender_id), enabled=True)


@blueprint.post("/senders/<uuid:sender_id>/disable")
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_disable(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.switch(_HOST, sender_pages.found(_HOST, sender_id), enabled=False)


@blueprint.post("/senders/<uuid:sender_id>/activate")
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_activate(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.activate(_HOST, sender_pages.found(_HOST, sender_id))


@blueprint.route("/senders/<uuid:sender_id>/delete", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def sender_delete(sender_id: uuid.UUID) -> ResponseReturnValue:
    return sender_pages.delete(_HOST, sender_pages.found(_HOST, sender_id))
