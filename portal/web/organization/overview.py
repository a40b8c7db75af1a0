"""An organization at one look: how its mail goes, what waits, what needs somebody."""

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.delivery import draining
from portal.identity import members
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import search
from portal.notifications.models import AlertStatus, ApprovalState
from portal.notifications.search import AlertFilters, ApprovalFilters
from portal.records import overview as reading
from portal.settings import effective
from portal.settings.effective import NoSenderReason
from portal.settings.models import Mode
from portal.settings.overview import Route
from portal.settings.scope import Scope
from portal.web import charts, guard, record_filters, settings_pages
from portal.web.blueprints import organization as blueprint
from portal.web.guard import requires
from portal.web.records_pages import Place, rows_of

_FEW = 5
_NOTHING_TO_SET_UP = (NoSenderReason.MAIL_OFF, NoSenderReason.SUSPENDED)


@blueprint.get("/overview")
@requires(Permission.ORGANIZATION_OVERVIEW_READ)
def overview(organization: Organization) -> ResponseReturnValue:
    place = Place(organization)
    sees_mail = guard.may(Permission.RECORDS_READ)
    day = reading.day(organization)
    way = settings_pages.way(settings_pages.Place(organization))
    return render_template(
        "organization/overview.html",
        organization=organization,
        place=place,
        day=day,
        since=record_filters.from_day(day.hours[0].began),
        chart=charts.of(day),
        waiting=(waiting := reading.waiting(organization)),
        drain=draining.of_organization(organization, waiting.due),
        speed=reading.speed(organization),
        way=way,
        steps=_steps(organization, way["route"]),
        failures=rows_of(place, reading.failures(organization)) if sees_mail else [],
        alerts=search.alerts(organization, AlertFilters(AlertStatus.FIRING), limit=_FEW).items,
        approvals=search.approvals(
            organization, ApprovalFilters(ApprovalState.PENDING), limit=_FEW
        ).items,
        is_alone=_is_alone(organization),
    )


def _steps(organization: Organization, route: Route) -> set[str]:
    """What must be set up before mail can leave."""
    if route.sender is not None or route.reason in _NOTHING_TO_SET_UP:
        return set()
    is_own = effective.settings_of(Scope.of(organization)).mode is Mode.OWN
    return {"sender" if is_own else "platform"}


def _is_alone(organization: Organization) -> bool:
    """Whether nobody could be told beside one person."""
    return len(members.search(organization, text="", after=None).members) < 2
