"""Alerts: the list, raising one, and what became of it."""

import uuid

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import names
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import alerts, search
from portal.notifications.forms import AlertForm
from portal.notifications.models import Alert, AlertStatus, Severity
from portal.notifications.recipients import people_of
from portal.notifications.search import AlertFilters
from portal.records import people_told
from portal.validation import Invalid
from portal.web import arguments, guard, words
from portal.web.blueprints import notifications as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.lists import AFTER, BEFORE, Filter, ListState
from portal.web.records_pages import Place

_SHOWN = {"": AlertStatus.FIRING, "past": AlertStatus.RESOLVED, "all": None}


@blueprint.get("/alerts", endpoint="alerts")
@requires(Permission.ALERTS_READ)
def list_alerts(organization: Organization) -> ResponseReturnValue:
    state = ListState(_filters())
    page = search.alerts(
        organization,
        _wanted(),
        after=arguments.row_id(BEFORE),
        newer_than=arguments.row_id(AFTER),
    )
    return render_template(
        "notifications/alerts.html",
        organization=organization,
        page=page,
        state=state,
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
        severities=[("", _("Any severity")), *((one.value, _severity(one)) for one in Severity)],
        statuses=[("", _("Open")), *((key, _status(key)) for key in ("past", "all"))],
    )


@blueprint.route("/alerts/new", methods=["GET", "POST"])
@requires(Permission.ALERTS_RAISE)
def alert_new(organization: Organization) -> ResponseReturnValue:
    form = AlertForm()
    form.offer(people_of(organization))
    if form.validate_on_submit():
        try:
            actor = guard.principal().actor
            raised = alerts.raise_alert(
                organization, _said(form), actor=actor, new_alert_id=form.token
            )
            target = _url(organization, raised.alert)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return redirect(target, 303)
    page = render_template("notifications/alert_new.html", form=form, organization=organization)
    return page, 422 if form.errors else 200


@blueprint.get("/alerts/<uuid:alert_id>")
@requires(Permission.ALERTS_READ)
def alert(organization: Organization, alert_id: uuid.UUID) -> ResponseReturnValue:
    """One alert: what happened, who was told and how that went."""
    found = _found(organization, alert_id)
    by = str(found.acknowledged_by) if found.acknowledged_by else None
    return render_template(
        "notifications/alert.html",
        organization=organization,
        alert=found,
        acknowledged_by=names.of_users([by]).get(by or ""),
        everyone=people_told.everyone(organization.id, found.notification_id),
        place=Place(organization) if guard.may(Permission.RECORDS_READ) else None,
    )


@blueprint.post("/alerts/<uuid:alert_id>/acknowledge")
@requires(Permission.ALERTS_RAISE)
def alert_acknowledge(organization: Organization, alert_id: uuid.UUID) -> ResponseReturnValue:
    found = _found(organization, alert_id)
    asking = guard.principal()
    alerts.acknowledge_alert(
        organization, found, user_id=asking.user.id if asking.user else None, actor=asking.actor
    )
    target = _url(organization, found)
    db.session.commit()
    flash(_("The alert is acknowledged."), "success")
    return redirect(target, 303)


@blueprint.post("/alerts/<uuid:alert_id>/resolve")
@requires(Permission.ALERTS_RAISE)
def alert_resolve(organization: Organization, alert_id: uuid.UUID) -> ResponseReturnValue:
    found = _found(organization, alert_id)
    alerts.resolve_alert(organization, found, actor=guard.principal().actor)
    target = _url(organization, found)
    db.session.commit()
    flash(_("The alert is resolved."), "success")
    return redirect(target, 303)


def _said(form: AlertForm) -> alerts.Raise:
    return alerts.parse_raise(
        title=form.title.data or "",
        severity=form.severity.data or "",
        text=form.text.data,
        resource=form.resource,
        recipients=form.audience,
    )


def _found(organization: Organization, alert_id: uuid.UUID) -> Alert:
    return alerts.find(organization, alert_id) or abort(404)


def _url(organization: Organization, alert: Alert) -> str:
    return url_for("notifications.alert", organization=organization.slug, alert_id=alert.id)


def _filters() -> list[Filter]:
    return [
        Filter("q", _("Title or resource")),
        Filter("severity", _("Severity"), _severity),
        Filter("show", _("Show"), _status),
    ]


def _wanted() -> AlertFilters:
    severity = arguments.text("severity")
    return AlertFilters(
        status=_SHOWN.get(arguments.text("show"), AlertStatus.FIRING),
        severity=Severity(severity) if severity in list(Severity) else None,
        text=arguments.text("q") or None,
    )


def _severity(slug: str) -> str:
    return str(words.state_chip(words.SEVERITIES, slug).word)


def _status(key: str) -> str:
    return {"past": _("Past"), "all": _("Open and past")}.get(key, key)
