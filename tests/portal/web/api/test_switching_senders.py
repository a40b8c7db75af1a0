"""Switching a sender off and on, and what the answers say of the version that sends."""

from flask import Flask

from portal.settings.models import VersionState
from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.portal.web.senders import found

_CURE = "Switch it off with enabled: false."


def test_a_sender_is_switched_off_and_on_with_enabled(globex: System) -> None:
    assert [done(globex.get("/senders/main"))[key] for key in ("active", "enabled")] == [True] * 2

    off = done(globex.patch("/senders/main", {"enabled": False}))
    assert (off["enabled"], off["active"], off["draft"]) == (False, True, False)
    assert done(globex.get("/senders/main")) == off
    (held,) = done(globex.post("/alerts", ALERT), 202)["deliveries"]
    assert held["state"] == "held"

    assert done(globex.patch("/senders/main", {"enabled": True, "priority": 7}))["enabled"]
    (queued,) = done(globex.post("/alerts", ALERT | {"title": "Other"}), 202)["deliveries"]
    assert queued["state"] == "queued"
    assert "/enabled" in refused(globex.patch("/senders/main", {"enabled": "no"}))


def test_active_false_of_an_active_sender_is_refused_and_a_change_becomes_a_draft_beside_it(
    app: Flask, globex: System, cast: Cast
) -> None:
    before = done(globex.get("/senders/main"))
    same = {"active": False, "server": before["server"]}
    for body in ({"active": False}, same, {"active": False, "priority": 9}):
        assert _CURE in refused(globex.patch("/senders/main", body))["/active"]
    assert done(globex.get("/senders/main")) == before

    changed = done(globex.patch("/senders/main", {"active": False, "display_name": "Other"}))
    assert (changed["active"], changed["draft"], changed["state"]) == (True, True, "draft")
    assert done(globex.get("/senders/main")) == changed
    assert _CURE in refused(globex.patch("/senders/main", {"active": False}))["/active"]
    with app.app_context():
        sender = found(cast.globex, "main")
        assert sender is not None
        assert {version.state for version in sender.versions} == {
            VersionState.ACTIVE,
            VersionState.DRAFT,
        }


def test_a_forbidden_sender_is_switched_off_and_not_on(globex: System, host: System) -> None:
    done(host.patch("/organizations/globex/settings/mail", {"own_senders_allowed": False}))
    assert not done(globex.patch("/senders/main", {"enabled": False}))["enabled"]
    assert "/own_senders_allowed" in refused(globex.patch("/senders/main", {"enabled": True}))


def test_a_new_sender_may_be_made_switched_off(host: System) -> None:
    new = {"name": "b", "display_name": "B", "from_address": "b@b.test", "server": "s.b.test"}
    made = done(host.post("/senders", new | {"active": True, "enabled": False}), 201)
    assert (made["active"], made["enabled"], made["draft"]) == (True, False, False)
