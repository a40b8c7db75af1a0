"""System administrators, and who is invited to become one."""

import uuid

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import administrators as people
from portal.identity import invitations
from portal.identity.forms import ActForm, AdministratorForm
from portal.identity.links import LinkState, state_of
from portal.identity.models import AccountLink
from portal.identity.policy import Permission
from portal.notifications import accounts
from portal.validation import Invalid
from portal.web import guard
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.get("/administrators")
@requires(Permission.HOST_ADMINISTRATORS_CHANGE)
def administrators() -> ResponseReturnValue:
    return render_template(
        "host/administrators.html",
        people=people.everyone(),
        invitations=invitations.pending(None),
        is_open=lambda link: state_of(link) is LinkState.USABLE,
    )


@blueprint.route("/administrators/new", methods=["GET", "POST"])
@requires(Permission.HOST_ADMINISTRATORS_CHANGE)
def administrator_new() -> ResponseReturnValue:
    """Who has an account becomes one at once; others are invited by mail."""
    form = AdministratorForm()
    if form.validate_on_submit():
        try:
            invitation = accounts.add_system_administrator(
                email=form.email.data, name=form.name.data, actor=guard.principal().actor
            )
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_invited(form.email.data) if invitation else _added(form.email.data), "success")
            return redirect(url_for("host.administrators"), 303)
    page = render_template("host/administrator_new.html", form=form)
    return page, 422 if form.errors else 200


@blueprint.route("/administrators/<uuid:user_id>/remove", methods=["GET", "POST"])
@requires(Permission.HOST_ADMINISTRATORS_CHANGE)
def administrator_remove(user_id: uuid.UUID) -> ResponseReturnValue:
    """Says what will happen, then does it."""
    user = people.find(user_id) or abort(404)
    if not ActForm().is_submitted():
        return render_template("host/administrator_remove.html", user=user)
    try:
        name, was_me = user.name, user is guard.principal().user
        people.remove(user, actor=guard.principal().actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        flash("; ".join(error.message for error in invalid.errors), "error")
    else:
        flash(_("%(name)s is no system administrator any more.", name=name), "success")
        if was_me:
            return redirect(url_for("auth.home"), 303)
    return redirect(url_for("host.administrators"), 303)


@blueprint.post("/administrators/invitations/<uuid:invitation_id>/resend")
@requires(Permission.HOST_ADMINISTRATORS_CHANGE)
def administrator_invitation_resend(invitation_id: uuid.UUID) -> ResponseReturnValue:
    link = _invitation(invitation_id)
    try:
        accounts.resend(link, actor=guard.principal().actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        flash("; ".join(error.message for error in invalid.errors), "error")
    else:
        flash(_("The invitation is on its way again; the earlier link no longer works."), "success")
    return redirect(url_for("host.administrators"), 303)


@blueprint.post("/administrators/invitations/<uuid:invitation_id>/withdraw")
@requires(Permission.HOST_ADMINISTRATORS_CHANGE)
def administrator_invitation_withdraw(invitation_id: uuid.UUID) -> ResponseReturnValue:
    invitations.withdraw(_invitation(invitation_id), actor=guard.principal().actor)
    db.session.commit()
    flash(_("The invitation is withdrawn; its link no longer works."), "success")
    return redirect(url_for("host.administrators"), 303)


def _invitation(invitation_id: uuid.UUID) -> AccountLink:
    return invitations.find(None, invitation_id) or abort(404)


def _invited(email: str) -> str:
    return _("An invitation to %(email)s is on its way.", email=email)


def _added(email: str) -> str:
    return _("%(email)s is a system administrator now.", email=email)
