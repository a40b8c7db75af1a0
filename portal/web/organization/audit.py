"""An organization's audit log."""

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.web import audit_pages
from portal.web.blueprints import organization as blueprint
from portal.web.guard import requires


@blueprint.get("/audit")
@requires(Permission.AUDIT_READ)
def audit(organization: Organization) -> ResponseReturnValue:
    view = audit_pages.view(organization)
    return render_template("organization/audit.html", organization=organization, view=view)
