"""The host's mail settings: shown for reading first, then opened to modify."""

from flask import flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity.policy import Permission
from portal.settings import changes, effective, senders
from portal.settings.forms import HostMailForm
from portal.settings.models import MailSettings
from portal.settings.scope import HOST
from portal.validation import Invalid, Stale
from portal.web import guard, settings_pages
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.settings_pages import Change, Place

_PLACE = Place(None)


@blueprint.get("/mail-settings")
@requires(Permission.HOST_SETTINGS_READ)
def mail_settings() -> ResponseReturnValue:
    settings = effective.settings_of(HOST)
    return render_template(
        "host/mail_settings.html",
        place=_PLACE,
        settings=settings,
        identity=effective.identity(None),
        default=effective.default_sender(HOST),
        way=settings_pages.way(_PLACE),
        uses=settings_pages.uses(),
        last=settings_pages.last_change(_PLACE, "mail_settings", HOST.key),
    )


@blueprint.route("/mail-settings/edit", methods=["GET", "POST"])
@requires(Permission.HOST_SETTINGS_CHANGE)
def mail_settings_edit() -> ResponseReturnValue:
    form = _form(effective.settings_of(HOST))
    if not form.is_submitted():
        return _page(form)
    try:
        changed = _save(form)
        db.session.commit()
    except Stale:
        db.session.rollback()
        form.revision.data = str(effective.settings_of(HOST).revision)
        return _page(form, 409, settings_pages.last_change(_PLACE, "mail_settings", HOST.key))
    except Invalid as invalid:
        db.session.rollback()
        put_errors(form, invalid)
        return _page(form, 422)
    said = _("Mail settings are saved. They apply from the next message.")
    flash(said if changed else _("Nothing was changed."), "success")
    return redirect(_PLACE.url("mail_settings"), 303)


def _save(form: HostMailForm) -> bool:
    """Everything on the form, or nothing. Raises Invalid with the errors of both parts, Stale."""
    actor, refused = guard.principal().actor, Invalid([])
    changed = False
    parts = (
        lambda: changes.save_mail_settings(
            HOST, form.raw(), actor=actor, revision=form.opened_revision
        ),
        lambda: changes.save_allowed_destinations(form.destinations, actor=actor),
    )
    for save in parts:
        try:
            changed = bool(save()) or changed
        except Invalid as invalid:
            refused = Invalid([*refused.errors, *invalid.errors])
    if refused.errors:
        raise refused
    return changed


def _form(settings: MailSettings) -> HostMailForm:
    default = effective.default_sender(HOST)
    form = HostMailForm(settings, default.name if default else None)
    form.offer_senders(
        [sender.name for sender in senders.all_of(HOST)], _("None: mail is held until one is set")
    )
    return form


def _page(
    form: HostMailForm, status: int = 200, stale: Change | None = None
) -> ResponseReturnValue:
    page = render_template(
        "host/mail_settings_edit.html",
        place=_PLACE,
        form=form,
        is_stale=status == 409,
        stale=stale,
        users=settings_pages.uses()["inherit"],
    )
    return page, status
