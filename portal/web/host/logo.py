"""The host's logo, which organizations inherit."""

from flask.typing import ResponseReturnValue

from portal.identity.policy import Permission
from portal.web import logo_pages
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires
from portal.web.settings_pages import Place

_PLACE = Place(None)


@blueprint.route("/mail-settings/logo", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def mail_settings_logo() -> ResponseReturnValue:
    return logo_pages.page(_PLACE)


@blueprint.get("/mail-settings/logo/image")
@requires(Permission.HOST_SETTINGS_READ)
def mail_settings_logo_image() -> ResponseReturnValue:
    return logo_pages.image(_PLACE)


@blueprint.post("/mail-settings/logo/remove")
@requires(Permission.HOST_SETTINGS_CHANGE)
def mail_settings_logo_remove() -> ResponseReturnValue:
    return logo_pages.remove(_PLACE)
