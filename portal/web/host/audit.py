"""The host's audit log."""

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.identity.policy import Permission
from portal.web import audit_pages
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires


@blueprint.get("/audit")
@requires(Permission.HOST_AUDIT_READ)
def audit() -> ResponseReturnValue:
    return render_template("host/audit.html", view=audit_pages.view(None))
