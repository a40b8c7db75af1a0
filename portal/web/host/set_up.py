"""The pages of the first run that follow the first account. Each may be left for later."""

from flask import current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity.policy import Permission
from portal.settings import changes, effective, providers
from portal.settings.forms import FirstProviderForm, PlatformForm
from portal.settings.scope import HOST
from portal.validation import Invalid
from portal.web import guard, mail_catchers, set_up_steps
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@blueprint.route("/set-up/platform", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def set_up_platform() -> ResponseReturnValue:
    """Name, title prefix and language; the address is said with how to change it."""
    form = PlatformForm(effective.settings_of(HOST))
    if form.is_submitted():
        try:
            changes.save_mail_settings(HOST, form.raw(), actor=guard.principal().actor)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            flash(_("The platform is described."), "success")
            return redirect(url_for("host.set_up_sender"), 303)
    page = render_template(
        "host/set_up_platform.html",
        form=form,
        steps=set_up_steps.track("platform"),
        address=current_app.extensions["config"].base_url,
    )
    return page, 422 if form.errors else 200


@blueprint.route("/set-up/sender", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def set_up_sender() -> ResponseReturnValue:
    """The choice of a provider; the form of a new sender follows, filled in, with its test."""
    catcher = mail_catchers.found()
    form = FirstProviderForm(has_catcher=catcher is not None)
    if form.is_submitted():
        chosen = providers.by_key(form.provider.data or "")
        key = chosen.key if chosen else None
        if form.provider.data == "catcher":
            key = "catcher"
        return redirect(url_for("host.sender_new", set_up="yes", provider=key), 303)
    return render_template(
        "host/set_up_sender.html",
        form=form,
        steps=set_up_steps.track("sender"),
        catcher=catcher,
        hints={"other": _("type its name"), "catcher": catcher.place if catcher else ""}
        | {one.key: one.server or _("your own server") for one in providers.all()},
    )


@blueprint.get("/set-up/done")
@requires(Permission.HOST_SETTINGS_CHANGE)
def set_up_done() -> ResponseReturnValue:
    return render_template(
        "host/set_up_done.html", steps=set_up_steps.track("done"), left=set_up_steps.left()
    )
