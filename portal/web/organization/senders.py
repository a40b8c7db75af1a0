"""An organization's own senders."""

import uuid

from flask.typing import ResponseReturnValue

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.web import sender_form, sender_pages
from portal.web.blueprints import organization as blueprint
from portal.web.guard import requires
from portal.web.settings_pages import Place


@blueprint.get("/senders")
@requires(Permission.SETTINGS_READ)
def senders(organization: Organization) -> ResponseReturnValue:
    return sender_pages.listed(Place(organization))


@blueprint.route("/senders/new", methods=["GET", "POST"])
@requires(Permission.SETTINGS_CHANGE)
def sender_new(organization: Organization) -> ResponseReturnValue:
    return sender_form.answer(Place(organization), None)


@blueprint.get("/senders/<uuid:sender_id>")
@requires(Permission.SETTINGS_READ)
def sender(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.shown(place, sender_pages.found(place, sender_id))


@blueprint.route("/senders/<uuid:sender_id>/edit", methods=["GET", "POST"])
@requires(Permission.SETTINGS_CHANGE)
def sender_edit(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_form.answer(place, sender_pages.found(place, sender_id))


@blueprint.post("/senders/<uuid:sender_id>/default")
@requires(Permission.SETTINGS_CHANGE)
def sender_default(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.make_default(place, sender_pages.found(place, sender_id))


@blueprint.post("/senders/<uuid:sender_id>/enable")
@requires(Permission.SETTINGS_CHANGE)
def sender_enable(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.switch(place, sender_pages.found(place, sender_id), enabled=True)


@blueprint.post("/senders/<uuid:sender_id>/disable")
@requires(Permission.SETTINGS_CHANGE)
def sender_disable(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.switch(place, sender_pages.found(place, sender_id), enabled=False)


@blueprint.post("/senders/<uuid:sender_id>/activate")
@requires(Permission.SETTINGS_CHANGE)
def sender_activate(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.activate(place, sender_pages.found(place, sender_id))


@blueprint.route("/senders/<uuid:sender_id>/delete", methods=["GET", "POST"])
@requires(Permission.SETTINGS_CHANGE)
def sender_delete(organization: Organization, sender_id: uuid.UUID) -> ResponseReturnValue:
    place = Place(organization)
    return sender_pages.delete(place, sender_pages.found(place, sender_id))
