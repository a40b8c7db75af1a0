"""Accepting an invitation; and what is said about a link that opens nothing."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import invitations, links
from portal.identity.forms import AcceptForm
from portal.identity.links import LinkRefused, LinkState
from portal.identity.models import AccountLink, LinkPurpose
from portal.validation import Invalid
from portal.web import guard
from portal.web.auth import signing
from portal.web.blueprints import auth as blueprint
from portal.web.forms import put_errors
from portal.web.guard import public


@blueprint.route("/invitation/<token:token>", methods=["GET", "POST"])
@public
def invitation(token: str) -> ResponseReturnValue:
    """New people set name and password here; others sign in and accept."""
    link = _found(token)
    if not invitations.needs_account(link):
        if request.method == "POST":
            # Whoever accepted it made the account meanwhile: look again.
            db.session.rollback()
            link = _found(token)
        visitor = guard.principal().user
        return render_template(
            "auth/invitation_accept.html", link=link, token=token, visitor=visitor
        )
    form = AcceptForm(name=link.name or "")
    if form.validate_on_submit():
        try:
            user = invitations.accept_as_new(
                link, name=form.name.data, password=form.password.data, ip=request.remote_addr
            )
            signing.begin(user)
            onward = _onward(link)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return redirect(onward, 303)
    page = render_template("auth/invitation.html", form=form, link=link)
    return page, 422 if form.errors else 200


@blueprint.post("/invitation/<token:token>/accept")
@public
def invitation_accept(token: str) -> ResponseReturnValue:
    """By a person who has an account and is signed in with it."""
    link = _found(token)
    user = guard.principal().user
    if user is None:
        return redirect(url_for("auth.sign_in", next=url_for("auth.invitation", token=token)), 303)
    if user.id != link.user_id or invitations.needs_account(link):
        abort(403)
    invitations.accept(link, ip=request.remote_addr)
    onward = _onward(link)
    db.session.commit()
    return redirect(onward, 303)


@blueprint.app_errorhandler(LinkRefused)
def link_refused(error: LinkRefused) -> ResponseReturnValue:
    """Says why the link opens nothing, and what to do."""
    db.session.rollback()
    page = render_template("auth/link_refused.html", purpose=error.purpose, state=error.state)
    return page, 404 if error.state is LinkState.UNKNOWN else 410


def _found(token: str) -> AccountLink:
    link = links.find(LinkPurpose.INVITATION, token)
    if invitations.is_void(link):
        raise LinkRefused(LinkPurpose.INVITATION, LinkState.UNKNOWN)
    return link


def _onward(link: AccountLink) -> str:
    if link.organization is None:
        flash(_("You are a system administrator now."), "success")
        return url_for("host.overview")
    flash(_("You belong to %(name)s now.", name=link.organization.name), "success")
    return url_for("organization.overview", organization=link.organization.slug)
