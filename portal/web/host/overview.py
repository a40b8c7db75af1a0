"""The host at one look: is mail flowing, for whom not, and what comes next."""

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.delivery import draining
from portal.delivery.counting import Count
from portal.identity.policy import Permission
from portal.records import overview as reading
from portal.records import queue
from portal.settings import overview as settings
from portal.web import charts, record_filters, set_up_steps, settings_pages
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires
from portal.web.records_pages import Place, rows_of

_HOST = Place(None)
_FEW = 6


@blueprint.get("/overview")
@requires(Permission.HOST_OVERVIEW_READ)
def overview() -> ResponseReturnValue:
    day = reading.day(None)
    return render_template(
        "host/overview.html",
        place=_HOST,
        now=utcnow(),
        day=day,
        since=record_filters.from_day(day.hours[0].began),
        chart=charts.of(day),
        waiting=(waiting := reading.waiting(None)),
        drain=draining.at_host(waiting.due),
        speed=reading.speed(None),
        organizations=reading.organizations(),
        senders=reading.senders(),
        route=settings.route(None),
        failing=(failing := queue.paused_senders(limit=_FEW)),
        held=sum((row.held for row in failing), Count(0)),
        host_senders=settings_pages.rows(settings_pages.Place(None)),
        lanes=queue.lanes(),
        workers=queue.workers(),
        left=set_up_steps.left(),
        failures=rows_of(_HOST, reading.failures(None)),
    )
