"""Organizations, as the host sees them: list, create, rename, delete."""

import uuid
from collections.abc import Sequence

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from portal.extensions import db
from portal.identity import members, organizations
from portal.identity.forms import ActForm, OrganizationForm, OrganizationNameForm
from portal.identity.models import Organization, OrganizationState
from portal.identity.policy import Permission
from portal.notifications import accounts, waiting
from portal.settings import effective
from portal.settings.models import MailSettings, Mode, Sender
from portal.settings.scope import HOST, Scope
from portal.validation import Invalid
from portal.web import arguments, guard
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.words import Chip


@blueprint.get("/organizations", endpoint="organizations")
@requires(Permission.HOST_ORGANIZATIONS_READ)
def list_organizations() -> ResponseReturnValue:
    text, after = arguments.text("q"), arguments.row_id("after")
    page = organizations.search(text=text, after=after)
    return render_template(
        "host/organizations.html",
        page=page,
        chips=_chips([row.organization for row in page.rows]),
        text=text,
        after=after,
    )


@blueprint.route("/organizations/new", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_new() -> ResponseReturnValue:
    form = OrganizationForm()
    if form.validate_on_submit():
        try:
            made = _create(form)
            target = url_for("host.organization", organization=made.slug)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return redirect(target, 303)
    page = render_template("host/organization_new.html", form=form)
    return page, 422 if form.errors else 200


@blueprint.route("/organizations/<slug:organization>", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization(organization: Organization) -> ResponseReturnValue:
    """One organization: its name, its people, and what can be done about it."""
    form = OrganizationNameForm(obj=organization)
    if form.validate_on_submit():
        try:
            actor = guard.principal().actor
            organizations.rename(organization, name=form.name.data, actor=actor)
            target = url_for("host.organization", organization=organization.slug)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("The name is saved."), "success")
            return redirect(target, 303)
    page = render_template(
        "host/organization.html",
        form=form,
        organization=organization,
        chip=_chips([organization])[organization.id],
        settings=effective.settings_of(Scope.of(organization)),
        host_cap=effective.settings_of(HOST).daily_cap,
        is_suspended=organization.state is OrganizationState.SUSPENDED,
        people=organizations.people(organization),
        administrators=members.administrators(organization),
        waiting=waiting.in_organization(organization),
    )
    return page, 422 if form.errors else 200


@blueprint.route("/organizations/<slug:organization>/delete", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_delete(organization: Organization) -> ResponseReturnValue:
    """Says what will happen to people and waiting mail, then does it."""
    if ActForm().is_submitted():
        name = organization.name
        organizations.delete(organization, actor=guard.principal().actor)
        db.session.commit()
        flash(_("%(name)s is deleted.", name=name), "success")
        return redirect(url_for("host.organizations"), 303)
    return render_template(
        "host/organization_delete.html",
        organization=organization,
        people=organizations.people(organization),
        waiting=waiting.in_organization(organization),
    )


def _create(form: OrganizationForm) -> Organization:
    """The organization, and its first Administrator if one was named. Raises Invalid."""
    email = form.administrator_email.data
    made, invitation = accounts.create_organization(
        name=form.name.data,
        short_name=form.slug.data or organizations.suggested_slug(form.name.data),
        administrator_email=email or None,
        administrator_name=form.administrator_name.data or "",
        actor=guard.principal().actor,
    )
    if invitation is not None:
        flash(
            _("%(name)s is created; %(email)s is invited.", name=made.name, email=email), "success"
        )
    else:
        flash(_("%(name)s is created.", name=made.name), "success")
    return made


def _chips(shown: Sequence[Organization]) -> dict[uuid.UUID, Chip]:
    """How mail leaves each organization now, in one word."""
    ids = [organization.id for organization in shown]
    settings = {
        row.organization_id: row
        for row in db.session.scalars(
            select(MailSettings).where(MailSettings.organization_id.in_(ids))
        )
    }
    failing = set(
        db.session.scalars(
            select(Sender.organization_id).where(
                Sender.organization_id.in_(list(settings)),
                Sender.enabled,
                Sender.consecutive_failures > 0,
            )
        )
    )
    return {one.id: _chip(one, settings.get(one.id), one.id in failing) for one in shown}


def _chip(organization: Organization, settings: MailSettings | None, is_failing: bool) -> Chip:
    if organization.state is OrganizationState.SUSPENDED:
        return Chip("wait", "player-pause", _("Suspended"))
    if settings is None or settings.mode is Mode.INHERIT:
        return Chip("from", "arrow-down", _("Platform default"))
    if settings.mode is Mode.OFF:
        return Chip("off", "minus", _("No mail"))
    if not settings.own_senders_allowed:
        return Chip("wait", "lock", _("Own senders, not allowed"))
    if settings.default_sender_id is None:
        return Chip("wait", "alert-triangle", _("Not configured"))
    if is_failing:
        return Chip("bad", "x", _("Own senders, failing"))
    return Chip("ok", "send", _("Own senders"))
