"""An organization's logo, in place of the platform's."""

from flask.typing import ResponseReturnValue

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.web import logo_pages
from portal.web.blueprints import organization as blueprint
from portal.web.guard import requires
from portal.web.settings_pages import Place


@blueprint.route("/mail-settings/logo", methods=["GET", "POST"])
@requires(Permission.SETTINGS_CHANGE)
def mail_settings_logo(organization: Organization) -> ResponseReturnValue:
    return logo_pages.page(Place(organization))


@blueprint.get("/mail-settings/logo/image")
@requires(Permission.SETTINGS_READ)
def mail_settings_logo_image(organization: Organization) -> ResponseReturnValue:
    return logo_pages.image(Place(organization))


@blueprint.post("/mail-settings/logo/remove")
@requires(Permission.SETTINGS_CHANGE)
def mail_settings_logo_remove(organization: Organization) -> ResponseReturnValue:
    return logo_pages.remove(Place(organization))
