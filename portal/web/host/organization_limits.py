"""What the host decides about one organization's mail: own senders, fallback, the daily cap."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField

from portal.extensions import db
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import waiting
from portal.settings import changes, effective
from portal.settings.mail_rules import HOST_LOCKS
from portal.settings.models import MailSettings
from portal.settings.scope import HOST
from portal.validation import Invalid, Stale
from portal.web import guard, settings_pages
from portal.web.blueprints import host as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.settings_pages import Place


class LimitsForm(FlaskForm):
    """The three things that an organization's own people cannot change."""

    revision = HiddenField()
    own_senders_allowed = BooleanField(_l("Own senders are allowed"))
    fallback_allowed = BooleanField(_l("Fallback is allowed"))
    daily_cap = StringField(
        _l("Daily cap on the platform’s sender"),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )

    @property
    def opened_revision(self) -> int:
        """The revision that the page showed; 0, which none has, where it was tampered with."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@blueprint.route("/organizations/<slug:organization>/limits", methods=["GET", "POST"])
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def organization_limits(organization: Organization) -> ResponseReturnValue:
    """Says what each limit does to this organization now, before it is saved."""
    place = Place(organization)
    form = LimitsForm(data=_stored(effective.settings_of(place.scope)))
    if not form.is_submitted():
        return _page(place, form)
    try:
        changed = changes.save_mail_settings(
            place.scope,
            {key: form[key].data for key in HOST_LOCKS},
            actor=guard.principal().actor,
            revision=form.opened_revision,
        )
        target = url_for("host.organization", organization=organization.slug)
        db.session.commit()
    except Stale:
        db.session.rollback()
        form.revision.data = str(effective.settings_of(place.scope).revision)
        return _page(place, form, 409)
    except Invalid as invalid:
        db.session.rollback()
        put_errors(form, invalid)
        return _page(place, form, 422)
    said = _("The limits are saved. They apply from the next message.")
    flash(said if changed else _("Nothing was changed."), "success")
    return redirect(target, 303)


def _stored(settings: MailSettings) -> dict[str, object]:
    cap = settings.daily_cap
    return {key: getattr(settings, key) for key in HOST_LOCKS} | {
        "daily_cap": "" if cap is None else str(cap),
        "revision": str(settings.revision),
    }


def _page(place: Place, form: LimitsForm, status: int = 200) -> ResponseReturnValue:
    organization = place.organization
    assert organization is not None
    stale = settings_pages.last_change(place, "mail_settings", place.scope.key)
    page = render_template(
        "host/organization_limits.html",
        form=form,
        organization=organization,
        settings=effective.settings_of(place.scope),
        host_cap=effective.settings_of(HOST).daily_cap,
        waiting=waiting.in_organization(organization),
        is_stale=status == 409,
        stale=stale if status == 409 else None,
    )
    return page, status
