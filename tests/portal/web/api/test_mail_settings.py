"""Mail settings over the API: each value with its origin, null inherits again."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.extensions import db
from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused

ORGANIZATION_KEYS = {
    "mode", "title_prefix", "display_name", "reply_to", "language", "footer",
    "accent_color", "logo", "default_sender",
    "fallback", "retention_days", "daily_cap", "own_senders_allowed", "fallback_allowed",
}  # fmt: skip


_SENDER = {
    "name": "draft",
    "display_name": "Globex",
    "from_address": "news@globex.test",
    "server": "smtp.globex.test",
}


def value(system: System, key: str, path: str = "/settings/mail") -> Any:
    return done(system.get(path))[key]


def test_an_untouched_organization_shows_the_defaults(acme: System) -> None:
    shown = done(acme.get("/settings/mail"))
    assert set(shown) == ORGANIZATION_KEYS
    assert shown["mode"] == {"value": "inherit", "origin": "organization"}
    assert shown["language"] == {"value": "en", "origin": "host"}
    assert [shown[k]["value"] for k in ("own_senders_allowed", "fallback_allowed")] == [True] * 2
    assert shown["fallback"]["value"] is False


def test_the_host_has_keys_of_its_own(host: System) -> None:
    shown = done(host.get("/settings/mail"))
    assert shown["enabled"] == {"value": True, "origin": "host"}
    assert shown["default_sender"]["value"] == "platform"
    assert "mode" not in shown


def test_a_value_overrides_and_null_inherits_again(acme: System, host: System) -> None:
    done(host.patch("/settings/mail", {"title_prefix": "[Cloud]"}))
    assert value(acme, "title_prefix") == {"value": "[Cloud]", "origin": "host"}
    changed = done(acme.patch("/settings/mail", {"title_prefix": "[Acme]"}))
    assert changed["title_prefix"] == {"value": "[Acme]", "origin": "organization"}
    done(acme.patch("/settings/mail", {"title_prefix": None}))
    assert value(acme, "title_prefix") == {"value": "[Cloud]", "origin": "host"}


def test_null_puts_back_what_nothing_is_inherited_for(globex: System) -> None:
    assert value(globex, "mode")["value"] == "own"
    assert done(globex.patch("/settings/mail", {"mode": None}))["mode"]["value"] == "inherit"


def test_an_organization_without_mail_stores_its_alerts_suppressed(acme: System) -> None:
    done(acme.patch("/settings/mail", {"mode": "off"}))
    (delivery,) = done(acme.post("/alerts", ALERT), 202)["deliveries"]
    assert (delivery["state"], delivery["reason"]) == ("suppressed", "mail_off")


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"mode": "on"}, "/mode"),
        ({"enabled": False}, "/enabled"),
        ({"title_prefix": "a\nb"}, "/title_prefix"),
        ({"display_name": "x <a@b.test>"}, "/display_name"),
        ({"reply_to": "nobody"}, "/reply_to"),
        ({"language": "tlh"}, "/language"),
        ({"retention_days": 0}, "/retention_days"),
        ({"accent_color": "teal"}, "/accent_color"),
        ({"retention_days": "90"}, "/retention_days"),
        ({"fallback": "yes"}, "/fallback"),
        ({"default_sender": "main"}, "/default_sender"),
        ({"own_senders_allowed": False}, "/own_senders_allowed"),
        ({"daily_cap": 5}, "/daily_cap"),
        ({"footer": []}, "/footer"),
        ({"titel_prefix": "x"}, "/titel_prefix"),
    ],
)
def test_wrong_values_are_refused_and_nothing_changes(
    acme: System, wrong: dict[str, object], pointer: str
) -> None:
    before = done(acme.get("/settings/mail"))
    assert pointer in refused(acme.patch("/settings/mail", {"footer": "new"} | wrong))
    assert done(acme.get("/settings/mail")) == before


def test_a_host_token_sets_the_locks_and_its_act_is_in_the_organizations_audit(
    app: Flask, host: System, acme: System, cast: Cast
) -> None:
    path = "/organizations/acme/settings/mail"
    done(host.patch(path, {"own_senders_allowed": False, "daily_cap": 100}))
    assert "/mode" in refused(acme.patch("/settings/mail", {"mode": "own"}))
    with app.app_context():
        entry = db.session.scalars(
            select(AuditEntry)
            .where(AuditEntry.action == "mail_settings.changed")
            .where(AuditEntry.organization_id == cast.acme.id)
        ).one()
        assert (entry.actor_type, entry.actor_id) == ("token", str(host.token_id))


def test_the_default_sender_is_chosen_by_name(globex: System) -> None:
    path = "/settings/default-sender"
    assert done(globex.call("PUT", path, {"name": "main"})) == {"name": "main"}
    assert value(globex, "default_sender")["value"] == "main"
    assert "/name" in refused(globex.call("PUT", path, {"name": "platform"}))
    assert "/name" in refused(globex.call("PUT", path, {"name": None}))
    assert "/name" in refused(globex.call("PUT", path, {}))


def test_a_sender_that_cannot_send_becomes_the_default_by_a_host_token_only(
    host: System, globex: System
) -> None:
    path, draft = "/settings/default-sender", {"name": "draft"}
    done(globex.post("/senders", _SENDER), 201)
    assert "not active" in refused(globex.call("PUT", path, draft))["/name"]
    changed = globex.patch("/settings/mail", {"default_sender": "draft"})
    assert "not active" in refused(changed)["/default_sender"]
    assert value(globex, "default_sender")["value"] == "main"

    done(host.call("PUT", f"/organizations/globex{path}", draft))
    assert value(globex, "default_sender")["value"] == "draft"
    # What stands already is not judged again.
    done(globex.patch("/settings/mail", {"default_sender": "draft", "footer": "Globex"}))
