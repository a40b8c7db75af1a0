"""First run: the first account and the platform's name."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import links
from portal.identity.forms import SetUpForm
from portal.identity.models import LinkPurpose
from portal.notifications import accounts
from portal.validation import Invalid
from portal.web import set_up_steps
from portal.web.auth import signing
from portal.web.blueprints import auth as blueprint
from portal.web.forms import put_errors
from portal.web.guard import public


@blueprint.route("/set-up/<token:token>", methods=["GET", "POST"])
@public
def set_up(token: str) -> ResponseReturnValue:
    links.find(LinkPurpose.SETUP, token)
    form = SetUpForm()
    if form.validate_on_submit():
        try:
            user = accounts.set_up(
                token,
                name=form.name.data,
                email=form.email.data,
                password=form.password.data,
                platform=form.platform.data,
                ip=request.remote_addr,
            )
            signing.begin(user)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("The portal is yours."), "success")
            return redirect(url_for("host.set_up_platform"), 303)
    page = render_template("auth/set_up.html", form=form, steps=set_up_steps.track("account"))
    return page, 422 if form.errors else 200
