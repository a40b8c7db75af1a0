"""Sign-in, sign-out, and the address without a path."""

from flask import Response, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import logout_user
from sqlalchemy.exc import OperationalError

from portal.clock import utcnow
from portal.extensions import db
from portal.identity import links, sessions, throttle, users
from portal.identity.forms import SignInForm, wrong_password
from portal.identity.throttle import Throttled
from portal.web import guard
from portal.web.auth import signing
from portal.web.blueprints import auth as blueprint
from portal.web.guard import public


@blueprint.get("/")
@public
def home() -> ResponseReturnValue:
    """On to the page that the person starts from."""
    user = guard.principal().user
    return redirect(signing.home_of(user) if user else url_for("auth.sign_in"), 303)


@blueprint.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> ResponseReturnValue:
    form = SignInForm()
    onward = signing.own_path(request.args.get("next")) or url_for("auth.home")
    if request.method == "GET" and guard.principal().user is not None:
        return redirect(onward, 303)
    if form.validate_on_submit():
        if _is_right(form.email.data, form.password.data):
            return redirect(onward, 303)
        form.form_errors.append(wrong_password())
    page = render_template("auth/sign_in.html", form=form, is_set_up=links.is_set_up())
    return page, 422 if form.errors else 200


@blueprint.post("/sign-out")
@public
def sign_out() -> ResponseReturnValue:
    ending = guard.principal().session
    if ending is not None:
        sessions.end(ending)
    db.session.commit()
    logout_user()
    session.clear()
    flash(_("You are signed out."), "success")
    return redirect(url_for("auth.sign_in"), 303)


@blueprint.app_errorhandler(Throttled)
def too_often(error: Throttled) -> ResponseReturnValue:
    """Says when the next try counts."""
    db.session.rollback()
    page = render_template("auth/throttled.html", until=error.until)
    seconds = max(1, int((error.until - utcnow()).total_seconds()) + 1)
    return page, 429, {"Retry-After": str(seconds)}


@blueprint.after_app_request
def remember_presence(response: Response) -> Response:
    if request.method == "GET" and request.endpoint != "static":
        try:
            signing.note_presence()
        except OperationalError:
            # A page that was read is not lost because somebody else is writing.
            db.session.rollback()
    return response


def _is_right(email: str, password: str) -> bool:
    """Sign the person in if the password is theirs."""
    ip = request.remote_addr
    throttle.admit_sign_in(email, ip=ip)
    # Committed before the password is looked at: tries at the same moment count each other.
    db.session.commit()
    user = users.authenticate(email, password)
    if user is None:
        return False
    throttle.forgive_sign_in(email, ip=ip)
    signing.begin(user)
    db.session.commit()
    return True
