"""An organization's members and the people it invited."""

import uuid

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import invitations, members
from portal.identity.forms import InvitationForm, RoleForm
from portal.identity.links import LinkState, state_of
from portal.identity.models import AccountLink, Membership, Organization, Role
from portal.identity.policy import Permission
from portal.notifications import accounts, waiting
from portal.validation import Invalid
from portal.web import arguments, guard
from portal.web.blueprints import organization as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.get("/members", endpoint="members")
@requires(Permission.MEMBERS_READ)
def list_members(organization: Organization) -> ResponseReturnValue:
    text, after = arguments.text("q"), arguments.row_id("after")
    return render_template(
        "organization/members.html",
        organization=organization,
        page=members.search(organization, text=text, after=after),
        invitations=invitations.pending(organization),
        is_open=lambda link: state_of(link) is LinkState.USABLE,
        text=text,
        after=after,
    )


@blueprint.route("/members/new", methods=["GET", "POST"])
@requires(Permission.MEMBERS_CHANGE)
def member_new(organization: Organization) -> ResponseReturnValue:
    """Invite a person by mail."""
    form = InvitationForm()
    if form.validate_on_submit():
        try:
            invitation = accounts.invite(
                organization,
                email=form.email.data,
                name=form.name.data,
                role=Role(form.role.data),
                actor=guard.principal().actor,
            )
            email = invitation.user.email
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("An invitation to %(email)s is on its way.", email=email), "success")
            return _to_list(organization)
    page = render_template("organization/member_new.html", form=form, organization=organization)
    return page, 422 if form.errors else 200


@blueprint.route("/members/<uuid:member_id>", methods=["GET", "POST"])
@requires(Permission.MEMBERS_CHANGE)
def member(organization: Organization, member_id: uuid.UUID) -> ResponseReturnValue:
    """One member: the role, and the way out."""
    found = _found(organization, member_id)
    form = RoleForm(role=found.role.value)
    if form.validate_on_submit():
        try:
            actor = guard.principal().actor
            members.change_role(organization, found, role=Role(form.role.data), actor=actor)
            name = found.user.name
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("The role of %(name)s is saved.", name=name), "success")
            return _to_list(organization)
    page = render_template(
        "organization/member.html",
        form=form,
        organization=organization,
        member=found,
        is_last=members.is_last_administrator(organization, found),
    )
    return page, 422 if form.errors else 200


@blueprint.route("/members/<uuid:member_id>/remove", methods=["GET", "POST"])
@requires(Permission.MEMBERS_CHANGE)
def member_remove(organization: Organization, member_id: uuid.UUID) -> ResponseReturnValue:
    """Says what will happen, then does it."""
    found = _found(organization, member_id)
    form = RoleForm(role=found.role.value)
    if form.is_submitted():
        try:
            name = found.user.name
            members.remove(organization, found, actor=guard.principal().actor)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            flash("; ".join(error.message for error in invalid.errors), "error")
            return redirect(_url_of(organization, member_id), 303)
        flash(_("%(name)s no longer belongs here.", name=name), "success")
        return _to_list(organization)
    return render_template(
        "organization/member_remove.html",
        organization=organization,
        member=found,
        waiting=waiting.for_person(organization, found.user),
        cancel_url=_url_of(organization, member_id),
    )


@blueprint.post("/members/invitations/<uuid:invitation_id>/resend")
@requires(Permission.MEMBERS_CHANGE)
def member_invitation_resend(
    organization: Organization, invitation_id: uuid.UUID
) -> ResponseReturnValue:
    link = _invitation(organization, invitation_id)
    try:
        accounts.resend(link, actor=guard.principal().actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        flash("; ".join(error.message for error in invalid.errors), "error")
    else:
        flash(_("The invitation is on its way again; the earlier link no longer works."), "success")
    return _to_list(organization)


@blueprint.post("/members/invitations/<uuid:invitation_id>/withdraw")
@requires(Permission.MEMBERS_CHANGE)
def member_invitation_withdraw(
    organization: Organization, invitation_id: uuid.UUID
) -> ResponseReturnValue:
    link = _invitation(organization, invitation_id)
    invitations.withdraw(link, actor=guard.principal().actor)
    db.session.commit()
    flash(_("The invitation is withdrawn; its link no longer works."), "success")
    return _to_list(organization)


def _found(organization: Organization, member_id: uuid.UUID) -> Membership:
    return members.find(organization, member_id) or abort(404)


def _invitation(organization: Organization, invitation_id: uuid.UUID) -> AccountLink:
    return invitations.find(organization, invitation_id) or abort(404)


def _url_of(organization: Organization, member_id: uuid.UUID) -> str:
    return url_for("organization.member", organization=organization.slug, member_id=member_id)


def _to_list(organization: Organization) -> ResponseReturnValue:
    return redirect(url_for("organization.members", organization=organization.slug), 303)
