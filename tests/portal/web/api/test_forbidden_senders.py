"""Own senders that the host forbids to an organization: read and deleted, nothing else."""

from typing import Any

from flask import Flask
from sqlalchemy import func, select

from portal.delivery.models import Delivery
from portal.extensions import db
from portal.settings.models import TestRun
from tests.portal.web.api.calling import System, done, refused

SPARE = {
    "name": "spare",
    "display_name": "Globex",
    "from_address": "spare@globex.test",
    "server": "smtp.globex.test",
}
TEST = {"to": "carol@globex.test"}


def test_a_forbidden_sender_is_read_disabled_and_deleted_but_not_changed_tested_or_activated(
    app: Flask, globex: System, host: System
) -> None:
    at_host = "/organizations/globex"
    done(globex.post("/senders", SPARE), 201)
    done(host.patch(f"{at_host}/settings/mail", {"own_senders_allowed": False}))
    before = done(globex.get("/senders"))["items"]

    refusals = [
        globex.post("/senders", SPARE | {"name": "other"}),
        globex.patch("/senders/main", {"display_name": "Another"}),
        globex.patch("/senders/main", {"priority": 3}),
        globex.post("/senders/main/test", TEST),
        globex.post("/senders/main/test", TEST | {"check_only": True}),
        globex.post("/senders/test", SPARE | TEST),
        host.patch(f"{at_host}/senders/spare", {"active": True}),
        host.post(f"{at_host}/senders/main/test", TEST),
    ]

    for answer in refusals:
        errors: dict[str, Any] = refused(answer)
        assert "does not allow own senders" in errors["/own_senders_allowed"], answer.text
    assert done(globex.get("/senders"))["items"] == before
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0
        assert db.session.scalar(select(func.count()).select_from(TestRun)) == 0
    done(globex.patch("/senders/main", {}))
    done(globex.call("DELETE", "/senders/spare"), 204)
    done(host.patch(f"{at_host}/settings/mail", {"own_senders_allowed": True}))
    done(globex.patch("/senders/main", {"priority": 3}))
