"""The page of a logo, at the host and in an organization: what applies, another one, none."""

from flask import Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.letters import logo
from portal.settings import effective, images, logos
from portal.settings.effective import Origin
from portal.settings.forms import LogoForm
from portal.settings.images import Image
from portal.validation import Invalid
from portal.web import guard
from portal.web.forms import put_errors
from portal.web.settings_pages import Place


def page(place: Place) -> ResponseReturnValue:
    """Shows the form, or takes what was sent with it."""
    form = LogoForm()
    if not form.is_submitted():
        return _shown(place, form)
    try:
        sent = request.files.get("logo")
        if sent is None or not sent.filename:
            raise Invalid.field("logo", _("Choose a PNG or JPEG image."))
        content = sent.stream.read(images.LARGEST + 1)
        changed = logos.save(place.scope, content, actor=guard.principal().actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        put_errors(form, invalid)
        return _shown(place, form, 422)
    said = _("The logo is saved. Letters carry it from the next message.")
    flash(said if changed else _("Nothing was changed."), "success")
    return redirect(place.url("mail_settings_logo"), 303)


def remove(place: Place) -> ResponseReturnValue:
    """Takes the place's own logo away."""
    logos.remove(place.scope, actor=guard.principal().actor)
    db.session.commit()
    said = _("The logo is removed. Letters show the name instead.")
    if applying(place) is not None:
        said = _("The logo is the platform’s again from the next message.")
    flash(said, "success")
    return redirect(place.url("mail_settings_logo"), 303)


def image(place: Place) -> ResponseReturnValue:
    """The bytes of the logo that applies, for pages."""
    found = applying(place)
    content = logos.content_of(place.scope, found) if found else None
    if found is None or content is None:
        abort(404)
    return Response(content, mimetype=found.format.media_type)


def applying(place: Place) -> Image | None:
    """The logo that letters of the place carry."""
    name = effective.identity(place.organization)["logo"].value
    return Image.named(name) if name else None


def _shown(place: Place, form: LogoForm, status: int = 200) -> ResponseReturnValue:
    values = effective.identity(place.organization)
    own = Origin.HOST if place.is_host else Origin.ORGANIZATION
    found = applying(place)
    body = render_template(
        "settings/logo.html",
        place=place,
        form=form,
        image=found,
        shown_size=logo.shown_size(found) if found else None,
        is_own=found is not None and values["logo"].origin is own,
        alt=values["display_name"].value or _name(place),
    )
    return body, status


def _name(place: Place) -> str:
    return place.organization.name if place.organization else effective.platform_name()
