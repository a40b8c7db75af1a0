"""The pages of senders beside their form: list, one sender, and the acts of its buttons."""

import uuid

from flask import abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.delivery import backlog, draining
from portal.delivery.health import SENDER_FAILING
from portal.extensions import db
from portal.identity.policy import Permission
from portal.notifications import sender_health
from portal.settings import authorities, changes, effective, expiries, overview, senders
from portal.settings.forms import ActForm
from portal.settings.models import Sender, VersionState
from portal.validation import Invalid
from portal.web import guard, settings_pages
from portal.web.settings_pages import Place


def found(place: Place, sender_id: uuid.UUID) -> Sender:
    """The sender; 404 where this place has none of that id."""
    return senders.get(place.scope, sender_id) or abort(404)


def listed(place: Place) -> ResponseReturnValue:
    return render_template(
        "settings/senders.html",
        place=place,
        rows=settings_pages.rows(place),
        way=settings_pages.way(place),
        is_locked=settings_pages.is_locked(place),
        settings=effective.settings_of(place.scope),
    )


def shown(place: Place, sender: Sender) -> ResponseReturnValue:
    """One sender, for reading."""
    return render_template(
        "settings/sender.html",
        place=place,
        sender=sender,
        version=(version := senders.shown_version(sender)),
        authorities=authorities.described(version.ca),
        expiring=expiries.of(version),
        active=effective.version_of(sender, VersionState.ACTIVE),
        draft=effective.version_of(sender, VersionState.DRAFT),
        health_now=overview.health_of(sender),
        drain=draining.of_sender(sender),
        held=backlog.held_by(sender),
        held_url=_held_url(place, sender),
        why=sender_health.why(sender),
        is_default=effective.settings_of(place.scope).default_sender_id == sender.id,
        is_locked=settings_pages.is_locked(place),
        settings=effective.settings_of(place.scope),
        secret_by=settings_pages.who_changed(place, sender.id, "secret"),
        last=settings_pages.last_change(place, "sender", sender.id),
        by_host=guard.principal().actor.is_host,
    )


def _held_url(place: Place, sender: Sender) -> str | None:
    """The sending records of the mail that waits for it; None: the reader may not see records."""
    wanted = Permission.HOST_RECORDS_READ if place.is_host else Permission.RECORDS_READ
    if not guard.may(wanted):
        return None
    return place.url("records", state="held", sender=sender.name, reason=SENDER_FAILING)


def make_default(place: Place, sender: Sender) -> ResponseReturnValue:
    name = sender.name
    try:
        changes.set_default_sender(place.scope, name, actor=guard.principal().actor)
    except Invalid as invalid:
        return _refused(place, sender, invalid)
    flash(_("%(name)s is the default sender from the next message.", name=name), "success")
    return _committed(place, sender)


def switch(place: Place, sender: Sender, *, enabled: bool) -> ResponseReturnValue:
    try:
        senders.switch(place.scope, sender, enabled=enabled, actor=guard.principal().actor)
    except Invalid as invalid:
        return _refused(place, sender, invalid)
    said = (
        _("%(name)s is enabled; mail that was held for it leaves now.", name=sender.name)
        if enabled
        else _("%(name)s is disabled; its settings and its password stay.", name=sender.name)
    )
    flash(said, "success")
    return _committed(place, sender)


def activate(place: Place, sender: Sender) -> ResponseReturnValue:
    """For system administrators: the draft sends from now on, tested or not."""
    try:
        senders.activate(place.scope, sender, actor=guard.principal().actor)
    except Invalid as invalid:
        return _refused(place, sender, invalid)
    flash(_("%(name)s is active from the next message.", name=sender.name), "success")
    return _committed(place, sender)


def delete(place: Place, sender: Sender) -> ResponseReturnValue:
    """Says what will happen, then does it."""
    if ActForm().is_submitted():
        name = sender.name
        senders.delete(place.scope, sender, actor=guard.principal().actor)
        db.session.commit()
        flash(_("Sender %(name)s and its password are deleted.", name=name), "success")
        return redirect(place.url("senders"), 303)
    return render_template(
        "settings/sender_delete.html",
        place=place,
        sender=sender,
        is_default=effective.settings_of(place.scope).default_sender_id == sender.id,
        mode=effective.settings_of(place.scope).mode.value,
        waiting=backlog.waiting_on(place.scope, sender),
        users=len(settings_pages.uses()["inherit"]) if place.is_host else 0,
    )


def _refused(place: Place, sender: Sender, invalid: Invalid) -> ResponseReturnValue:
    db.session.rollback()
    flash("; ".join(error.message for error in invalid.errors), "error")
    return _back(place, sender)


def _committed(place: Place, sender: Sender) -> ResponseReturnValue:
    answer = _back(place, sender)
    db.session.commit()
    return answer


def _back(place: Place, sender: Sender) -> ResponseReturnValue:
    return redirect(place.url("sender", sender_id=sender.id), 303)
