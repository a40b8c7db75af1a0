"""Password recovery: asking for a link, and using it."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import links, users
from portal.identity.forms import NewPasswordForm, RecoveryForm
from portal.identity.models import LinkPurpose
from portal.notifications import accounts
from portal.validation import Invalid
from portal.web.blueprints import auth as blueprint
from portal.web.forms import put_errors
from portal.web.guard import public


@blueprint.route("/recovery", methods=["GET", "POST"])
@public
def recovery() -> ResponseReturnValue:
    form = RecoveryForm()
    if form.validate_on_submit():
        accounts.ask_recovery(form.email.data, ip=request.remote_addr)
        db.session.commit()
        return redirect(url_for("auth.recovery_asked"), 303)
    return render_template("auth/recovery.html", form=form), 422 if form.errors else 200


@blueprint.get("/recovery/asked")
@public
def recovery_asked() -> ResponseReturnValue:
    """The one answer, whether or not the address has an account."""
    return render_template("auth/recovery_asked.html")


@blueprint.route("/recovery/<token:token>", methods=["GET", "POST"])
@public
def new_password(token: str) -> ResponseReturnValue:
    link = links.find(LinkPurpose.RECOVERY, token)
    form = NewPasswordForm()
    if form.validate_on_submit():
        try:
            users.recover(link, password=form.password.data, ip=request.remote_addr)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("Your new password is set. Sign in with it."), "success")
            return redirect(url_for("auth.sign_in"), 303)
    page = render_template("auth/new_password.html", form=form, user=link.user)
    return page, 422 if form.errors else 200
