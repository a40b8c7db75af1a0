"""A system administrator acting inside an organization: begun by a post, audited, always shown."""

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import administrators
from portal.identity.models import Organization, SignInSession
from portal.identity.policy import Permission
from portal.web import guard
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires


@blueprint.post("/organizations/<slug:organization>/act")
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_act(organization: Organization) -> ResponseReturnValue:
    administrators.start_acting(_own_session(), organization, actor=guard.principal().actor)
    slug = organization.slug
    db.session.commit()
    return redirect(url_for("organization.overview", organization=slug), 303)


@blueprint.post("/acting/stop")
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def acting_stop() -> ResponseReturnValue:
    administrators.stop_acting(_own_session(), actor=guard.principal().actor)
    db.session.commit()
    flash(_("You no longer act inside an organization."), "success")
    return redirect(url_for("host.organizations"), 303)


@blueprint.app_context_processor
def acting() -> dict[str, Organization | None]:
    """`acting_in`: the organization that this session acts in, for the banner on every page."""
    session = guard.principal().session
    if session is None or session.acting_in_id is None:
        return {"acting_in": None}
    return {"acting_in": db.session.get(Organization, session.acting_in_id)}


def _own_session() -> SignInSession:
    session = guard.principal().session
    assert session is not None
    return session
