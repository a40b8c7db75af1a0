"""A person's name, language and time zone."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import users
from portal.identity.forms import ProfileForm
from portal.identity.policy import Permission
from portal.validation import Invalid
from portal.web import guard
from portal.web.blueprints import me as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.route("/profile", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_CHANGE)
def profile() -> ResponseReturnValue:
    user = guard.principal().user
    assert user is not None
    form = ProfileForm(obj=user)
    if form.validate_on_submit():
        try:
            users.change_profile(
                user,
                name=form.name.data,
                language=form.language.data or None,
                timezone=form.timezone.data,
                actor=guard.principal().actor,
            )
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("Profile saved."), "success")
            return redirect(url_for("me.profile"), 303)
    page = render_template("me/profile.html", form=form, user=user)
    return page, 422 if form.errors else 200
