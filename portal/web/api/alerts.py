"""Alerts: raise, read, acknowledge, resolve."""

import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import alerts, resources
from portal.notifications.models import Alert, AlertStatus, Severity
from portal.notifications.recipients import MOST, Omitted
from portal.web import guard
from portal.web.api import inputs, shapes, turns
from portal.web.api.calls import call
from portal.web.api.deliveries import announced
from portal.web.api.inputs import Input
from portal.web.api.pages import PageQuery, cursor
from portal.web.api.times import GivenTime
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class ResourceInput(Input):
    name: str | None = None
    url: str | None = None
    type: str | None = None


class AlertInput(Input):
    """`title` and `severity` are needed where the alert fires, `dedupe_key` where it resolves."""

    title: str | None = None
    severity: Annotated[Severity | None, Field(strict=False)] = None
    status: Literal["firing", "resolved"] = "firing"
    dedupe_key: str | None = None
    text: str | None = None
    resource: ResourceInput | None = None
    labels: dict[str, str] | None = None
    starts_at: GivenTime | None = None
    recipients: list[str] | None = Field(None, max_length=MOST)

    def check(self) -> None:
        if self.status == "firing":
            _ = self.said

    @property
    def is_large(self) -> bool:
        return len(self.recipients or ()) > turns.LARGE

    @cached_property
    def said(self) -> alerts.Raise:
        given: dict[str, Any] = self.given()
        given.pop("status", None)
        given["resource"] = resources.parse(given.get("resource"))
        return alerts.parse_raise(
            **given | {"title": self.title or "", "severity": self.severity or ""}
        )


class AlertQuery(PageQuery):
    status: Annotated[AlertStatus | None, Field(strict=False)] = None


@blueprint.post("/alerts")
@blueprint.post("/organizations/<slug:organization>/alerts")
@call(takes=AlertInput, gives=shapes.Raised, status=202)
@requires(Permission.ALERTS_RAISE)
def raise_alert(organization: Organization) -> shapes.Raised:
    """Raise an alert, repeat it, or say that it is over."""
    given = inputs.body(AlertInput)
    actor = guard.principal().actor
    if given.status == "resolved":
        alert = alerts.resolve_by_key(organization, given.dedupe_key, actor=actor)
        return _raised(alert, repeated=alert is not None)
    raised = alerts.raise_alert(organization, given.said, actor=actor)
    letters = announced(organization, raised.told)
    return _raised(raised.alert, raised.repeated, letters, raised.left_out)


@blueprint.get("/alerts")
@blueprint.get("/organizations/<slug:organization>/alerts")
@call(query=AlertQuery, gives=shapes.AlertList)
@requires(Permission.ALERTS_READ)
def list_alerts(organization: Organization) -> shapes.AlertList:
    """Alerts, newest first."""
    wanted = inputs.query(AlertQuery)
    found = alerts.latest(
        organization, status=wanted.status, before=wanted.after, limit=wanted.limit + 1
    )
    items = found[: wanted.limit]
    return shapes.AlertList(
        items=[shapes.AlertShape.of(alert) for alert in items],
        next=cursor(items[-1].id if len(found) > wanted.limit else None),
    )


@blueprint.get("/alerts/<uuid:alert_id>")
@blueprint.get("/organizations/<slug:organization>/alerts/<uuid:alert_id>")
@call(gives=shapes.AlertShape)
@requires(Permission.ALERTS_READ)
def read_alert(organization: Organization, alert_id: uuid.UUID) -> shapes.AlertShape:
    """One alert."""
    return shapes.AlertShape.of(_alert(organization, alert_id))


@blueprint.post("/alerts/<uuid:alert_id>/resolve")
@blueprint.post("/organizations/<slug:organization>/alerts/<uuid:alert_id>/resolve")
@call(takes=Input, gives=shapes.AlertShape)
@requires(Permission.ALERTS_RAISE)
def resolve_alert(organization: Organization, alert_id: uuid.UUID) -> shapes.AlertShape:
    """Say that an alert is over; doing it twice changes nothing."""
    inputs.body(Input)
    alert = _alert(organization, alert_id)
    alerts.resolve_alert(organization, alert, actor=guard.principal().actor)
    return shapes.AlertShape.of(alert)


@blueprint.post("/alerts/<uuid:alert_id>/acknowledge")
@blueprint.post("/organizations/<slug:organization>/alerts/<uuid:alert_id>/acknowledge")
@call(takes=Input, gives=shapes.AlertShape)
@requires(Permission.ALERTS_RAISE)
def acknowledge_alert(organization: Organization, alert_id: uuid.UUID) -> shapes.AlertShape:
    """Say that someone is at it; doing it twice changes nothing."""
    inputs.body(Input)
    alert = _alert(organization, alert_id)
    actor = guard.principal().actor
    alerts.acknowledge_alert(organization, alert, user_id=None, actor=actor)
    return shapes.AlertShape.of(alert)


def _raised(
    alert: Alert | None,
    repeated: bool,
    deliveries: list[shapes.DeliveryShape] | None = None,
    left_out: Sequence[Omitted] = (),
) -> shapes.Raised:
    return shapes.Raised(
        id=alert and alert.id,
        notification_id=alert and alert.notification_id,
        repeated=repeated,
        deliveries=deliveries or [],
        left_out=shapes.LeftOutShape.all_of(left_out),
    )


def _alert(organization: Organization, alert_id: uuid.UUID) -> Alert:
    return alerts.find(organization, alert_id) or abort(404)
