"""An organization with a way to the host's relay does not send as the platform."""

from flask import Flask
from sqlalchemy import func, select

from portal.delivery.models import Delivery
from portal.extensions import db
from tests.portal.web.api.calling import System, done, refused

AS_PLATFORM = {"from_address": "No-Reply@gatepost.test", "display_name": "platform"}
SPARE = {"name": "spare", "server": "127.0.0.1", "encryption": "none"}
OWN = "Enter one of your own."


def test_an_organization_cannot_save_or_test_a_sender_that_is_the_platform(
    app: Flask, globex: System, host: System
) -> None:
    test = {"to": "carol@globex.test"}
    before = done(globex.get("/senders"))
    for answer in (
        globex.patch("/senders/main", AS_PLATFORM),
        globex.post("/senders", SPARE | AS_PLATFORM),
        globex.post("/senders/main/test", AS_PLATFORM | test),
        globex.post("/senders/test", SPARE | AS_PLATFORM | test),
    ):
        errors = refused(answer)
        assert OWN in errors["/from_address"], answer.text
        assert "the name of the platform" in errors["/display_name"], answer.text
    for key, value in (
        ("envelope_sender", "no-reply@gatepost.test"),
        ("allowed_from", ["no-reply@gatepost.test"]),
    ):
        for answer in (
            globex.patch("/senders/main", {key: value}),
            host.patch("/organizations/globex/senders/main", {key: value}),
        ):
            assert OWN in refused(answer)[f"/{key}"], answer.text
    assert done(globex.get("/senders")) == before
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_an_old_sender_with_an_address_of_the_platform_is_read_and_switched_off(
    globex: System, host: System
) -> None:
    address = done(globex.get("/senders/main"))["from_address"]
    done(host.patch("/senders/platform", {"from_address": address, "active": True}))

    assert done(globex.get("/senders/main"))["active"]
    test = {"to": "carol@globex.test", "check_only": True}
    assert OWN in refused(globex.post("/senders/main/test", test))["/from_address"]
    done(globex.patch("/senders/main", {"enabled": False}))
    assert OWN in refused(globex.patch("/senders/main", {"enabled": True}))["/from_address"]
    done(globex.call("DELETE", "/senders/main"), 204)
