"""Suspending an organization and resuming it: each says first what will happen."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import organizations
from portal.identity.forms import ActForm
from portal.identity.models import Organization, OrganizationState
from portal.identity.policy import Permission
from portal.notifications import waiting
from portal.web import guard
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires


@blueprint.route("/organizations/<slug:organization>/suspend", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_suspend(organization: Organization) -> ResponseReturnValue:
    """Says what becomes of people and mail, then holds the mail."""
    if not ActForm().is_submitted():
        return _page(organization, OrganizationState.SUSPENDED)
    organizations.suspend(organization, actor=guard.principal().actor)
    return _done(organization, _("%(name)s is suspended.", name=organization.name))


@blueprint.route("/organizations/<slug:organization>/resume", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_resume(organization: Organization) -> ResponseReturnValue:
    """Says how much mail will leave, then lets it go."""
    if not ActForm().is_submitted():
        return _page(organization, OrganizationState.ACTIVE)
    organizations.resume(organization, actor=guard.principal().actor)
    name = organization.name
    said = _("%(name)s is active again; mail that was held for it leaves now.", name=name)
    return _done(organization, said)


def _page(organization: Organization, wanted: OrganizationState) -> ResponseReturnValue:
    if organization.state is wanted:
        return redirect(url_for("host.organization", organization=organization.slug), 303)
    suspends = wanted is OrganizationState.SUSPENDED
    return render_template(
        "host/organization_suspend.html" if suspends else "host/organization_resume.html",
        organization=organization,
        people=organizations.people(organization),
        waiting=waiting.in_organization(organization),
    )


def _done(organization: Organization, said: str) -> ResponseReturnValue:
    answer = redirect(url_for("host.organization", organization=organization.slug), 303)
    db.session.commit()
    flash(said, "success")
    return answer
