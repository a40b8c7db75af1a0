"""The delivery engine: workers, queue, paused senders."""

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.delivery import draining
from portal.identity.policy import Permission
from portal.records import overview, queue
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires


@blueprint.get("/delivery-engine")
@requires(Permission.HOST_ENGINE_READ)
def delivery_engine() -> ResponseReturnValue:
    return render_template(
        "host/delivery_engine.html",
        workers=queue.workers(),
        lanes=queue.lanes(),
        paused=queue.paused_senders(),
        waiting=(waiting := overview.waiting(None)),
        drain=draining.at_host(waiting.due),
    )
