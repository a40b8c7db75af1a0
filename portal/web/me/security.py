"""A person's password and the browsers that they are signed in with."""

import uuid

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import passwords, sessions, throttle, users
from portal.identity.forms import PasswordForm
from portal.identity.models import User
from portal.identity.policy import Permission
from portal.validation import Invalid
from portal.web import guard
from portal.web.blueprints import me as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.me import browsers


@blueprint.route("/security", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_CHANGE)
def security() -> ResponseReturnValue:
    """The sessions, and a new password by the one that the person has now."""
    form = PasswordForm()
    if form.validate_on_submit():
        try:
            _change_password(form.current_password.data, form.new_password.data)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("Password changed. Your other sessions have ended."), "success")
            return redirect(url_for("me.security"), 303)
    own = guard.principal().session
    page = render_template(
        "me/security.html",
        form=form,
        sessions=sessions.of(_me().id),
        own=own and own.id,
        browser_of=browsers.parts,
    )
    return page, 422 if form.errors else 200


@blueprint.post("/security/sessions/<uuid:session_id>/end")
@requires(Permission.ACCOUNT_CHANGE)
def security_session_end(session_id: uuid.UUID) -> ResponseReturnValue:
    """End one session; one's own is ended by signing out."""
    row = sessions.find(_me().id, session_id)
    if row is None:
        abort(404)
    sessions.end(row)
    db.session.commit()
    flash(_("That session has ended."), "success")
    return redirect(url_for("me.security"), 303)


@blueprint.post("/security/sessions/end-others")
@requires(Permission.ACCOUNT_CHANGE)
def security_sessions_end() -> ResponseReturnValue:
    """End every session but this one."""
    own = guard.principal().session
    sessions.end_all(_me().id, but=own.id if own else None)
    db.session.commit()
    flash(_("Your other sessions have ended."), "success")
    return redirect(url_for("me.security"), 303)


def _me() -> User:
    user = guard.principal().user
    assert user is not None
    return user


def _change_password(current: str, new: str) -> None:
    """Raises Invalid, Throttled."""
    user, own, ip = _me(), guard.principal().session, request.remote_addr
    throttle.admit_sign_in(user.email, ip=ip)
    # Committed before the password is looked at: tries at the same moment count each other.
    db.session.commit()
    if not passwords.matches(current, user.password_hash):
        raise Invalid.field("current_password", _("This is not your current password."))
    throttle.forgive_sign_in(user.email, ip=ip)
    users.change_password(user, new=new, session=own, ip=ip)
