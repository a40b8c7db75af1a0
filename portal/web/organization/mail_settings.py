"""An organization's mail settings: what applies now and from where, and its overrides."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import kinds
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.settings import changes, effective, inherited, senders
from portal.settings.forms import OrganizationMailForm
from portal.settings.mail_rules import IDENTITY_KEYS
from portal.settings.models import Mode
from portal.validation import Invalid, Stale
from portal.web import guard, settings_pages
from portal.web.blueprints import organization as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.settings_pages import Place


@blueprint.get("/mail-settings")
@requires(Permission.SETTINGS_READ)
def mail_settings(organization: Organization) -> ResponseReturnValue:
    return render_template("organization/mail_settings.html", **_facts(Place(organization)))


@blueprint.route("/mail-settings/edit", methods=["GET", "POST"])
@requires(Permission.SETTINGS_CHANGE)
def mail_settings_edit(organization: Organization) -> ResponseReturnValue:
    place = Place(organization)
    form = _form(place)
    if not form.is_submitted():
        return _page(place, form)
    if request.form.get("reset") in IDENTITY_KEYS:
        return _reset(place, form, request.form["reset"])
    try:
        changed = _save(place, form)
        db.session.commit()
    except (Stale, Invalid) as refused:
        return _refused(place, form, refused)
    said = _("Mail settings are saved. They apply from the next message.")
    flash(said if changed else _("Nothing was changed."), "success")
    return redirect(place.url("mail_settings"), 303)


@blueprint.post("/mail-settings/mode/<any(inherit,own):mode>")
@requires(Permission.SETTINGS_CHANGE)
def mail_settings_mode(organization: Organization, mode: str) -> ResponseReturnValue:
    """One click: mail on again as it was before, or by the organization's own senders."""
    place = Place(organization)
    target = place.url("mail_settings")
    try:
        changes.save_mail_settings(place.scope, {"mode": mode}, actor=guard.principal().actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        flash("; ".join(error.message for error in invalid.errors), "error")
    else:
        flash(_("Mail settings are saved. They apply from the next message."), "success")
    return redirect(target, 303)


def _save(place: Place, form: OrganizationMailForm) -> list[str]:
    may_fall_back = effective.settings_of(place.scope).fallback_allowed
    return changes.save_mail_settings(
        place.scope,
        form.raw(with_fallback=may_fall_back),
        actor=guard.principal().actor,
        revision=form.opened_revision,
    )


def _refused(
    place: Place, form: OrganizationMailForm, refused: Stale | Invalid
) -> ResponseReturnValue:
    """The page again, with everything that was typed."""
    db.session.rollback()
    if isinstance(refused, Invalid):
        put_errors(form, refused)
        return _page(place, form, 422)
    form.revision.data = str(effective.settings_of(place.scope).revision)
    return _page(place, form, 409)


def _reset(place: Place, form: OrganizationMailForm, key: str) -> ResponseReturnValue:
    """One value is the platform's again at once; what else was typed stays typed."""
    try:
        changes.save_mail_settings(
            place.scope,
            {key: None},
            actor=guard.principal().actor,
            revision=form.opened_revision,
        )
        db.session.commit()
    except (Stale, Invalid) as refused:
        return _refused(place, form, refused)
    form[key].data = ""
    form.revision.data = str(effective.settings_of(place.scope).revision)
    label = form[key].label.text
    flash(_("%(field)s is the platform’s again from the next message.", field=label), "success")
    return _page(place, form)


def _form(place: Place) -> OrganizationMailForm:
    default = effective.default_sender(place.scope)
    form = OrganizationMailForm(
        effective.settings_of(place.scope), default.name if default else None
    )
    names = [sender.name for sender in senders.all_of(place.scope)]
    form.offer_senders(names, _("None: mail is held until one is set"))
    return form


def _page(place: Place, form: OrganizationMailForm, status: int = 200) -> ResponseReturnValue:
    facts = _facts(place)
    stale = settings_pages.last_change(place, "mail_settings", place.scope.key)
    page = render_template(
        "organization/mail_settings_edit.html",
        form=form,
        is_stale=status == 409,
        stale=stale if status == 409 else None,
        **facts,
    )
    return page, status


def _facts(place: Place) -> Mapping[str, Any]:
    organization = place.organization
    assert organization is not None
    return {
        "place": place,
        "organization": organization,
        "settings": effective.settings_of(place.scope),
        "way": settings_pages.way(place),
        "rows": settings_pages.rows(place),
        "fields": inherited.fields(organization),
        "host_from": inherited.host_from_address(),
        "fallback_name": inherited.fallback_name(organization),
        "is_locked": settings_pages.is_locked(place),
        "before_off": effective.settings_of(place.scope).mode_before_off or Mode.INHERIT,
        "stops": sum(not kind.is_security for kind in kinds.ALL),
        "members": organizations.people(organization).members,
    }
