"""Senders over the API: write-only secrets bound to their destination, drafts, activation."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.settings import changes
from portal.settings.models import TestRun
from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.smtp_server import SmtpServer, reply

CANARY = "  canary secret  "
RELAY = {
    "name": "relay",
    "display_name": "Acme Alerts",
    "from_address": "alerts@acme.test",
    "server": "smtp.acme.test",
    "username": "alerts",
    "authentication": "password",
    "password": CANARY,
}
OPEN = {
    "name": "open",
    "display_name": "Acme",
    "from_address": "alerts@acme.test",
    "encryption": "none",
    "authentication": "none",
}
KEYS = {
    "name", "display_name", "from_address", "reply_to", "envelope_sender", "server", "port",
    "encryption", "verify", "ca", "authentication", "username", "domain", "secret_set",
    "allow_clear_login", "ehlo_name", "connect_timeout", "command_timeout", "per_minute",
    "per_day", "connections", "messages_per_connection", "priority", "active", "state", "default",
    "health", "queue", "client_id", "token_url", "scope", "client_secret_expires_at", "kinds",
    "allowed_from", "draft", "enabled",
}  # fmt: skip


def at(server: SmtpServer, **more: Any) -> dict[str, Any]:
    return OPEN | {"server": server.host, "port": server.port} | more


def test_a_new_sender_is_a_draft_and_never_shows_its_secret(acme: System) -> None:
    answer = acme.post("/senders", RELAY)
    made = done(answer, 201)
    assert set(made) == KEYS
    assert (made["port"], made["encryption"], made["connections"]) == (587, "starttls", 8)
    assert (made["secret_set"], made["active"], made["state"]) == (True, False, "draft")
    assert made["health"]["status"] == "not_tested"
    assert done(acme.get("/senders/relay")) == made
    assert done(acme.get("/senders")) == {"items": [made], "next": None}
    for text in (answer.text, acme.get("/senders/relay").text, acme.get("/senders").text):
        assert "canary" not in text


@pytest.mark.parametrize(
    ("wrong", "pointer", "says"),
    [
        ({"name": "a/b"}, "/name", "slash"),
        ({"name": None}, "/name", "text"),
        ({"port": 0}, "/port", "65535"),
        ({"port": "587"}, "/port", "whole number"),
        ({"server": "smtp.acme.test:25"}, "/server", "without its port"),
        ({"from_address": "a\nb@acme.test"}, "/from_address", "line break"),
        ({"display_name": "a@b.test"}, "/display_name", "address"),
        ({"encryption": "ssl"}, "/encryption", "starttls"),
        ({"encryption": "none"}, "/encryption", "system administrator"),
        ({"authentication": "oauth2_refresh_token"}, "/client_id", "client id"),
        ({"authentication": "oauth2_refresh_token"}, "/token_url", "token URL"),
        ({"name": ".."}, "/name", "a letter or a digit"),
        ({"name": "..."}, "/name", "a letter or a digit"),
        ({"name": "?!\u2026"}, "/name", "a letter or a digit"),
        ({"kinds": ["alarm"]}, "/kinds", "Known: alert, approval"),
        ({"kinds": ["alert", "security"]}, "/kinds", "Leave out security: security mail"),
        ({"kinds": ["security.invitation"]}, "/kinds", "goes by the platform's sender"),
        ({"allowed_from": ["a@acme.test", "a b"]}, "/allowed_from", "'a b' is neither"),
        ({"allowed_from": "a@acme.test"}, "/allowed_from", "list"),
        ({"password": None}, "/password", "Enter the password"),
        ({"password": 7}, "/password", "text"),
        ({"password": "x" * 20_000}, "/password", "too long"),
        ({"password_file": "x"}, "/password_file", "as password"),
        ({"password_env": "x"}, "/password_env", "as password"),
        ({"ca_file": "x"}, "/ca_file", "PEM"),
        ({"client_secret": "x"}, "/client_secret", "Give one secret"),
        ({"private_key_file": "x"}, "/private_key_file", "private_key"),
        ({"ca": "-----BEGIN PRIVATE KEY-----"}, "/ca", "private key"),
        ({"verify": False}, "/verify", "verified"),
        ({"allow_clear_login": True}, "/allow_clear_login", "system administrator"),
        ({"active": True}, "/active", "host token"),
        ({"priority": 99_999}, "/priority", "10000"),
        ({"connections": 0}, "/connections", "100"),
        ({"passwrd": "x"}, "/passwrd", "Did you mean password?"),
    ],
)
def test_wrong_values_are_refused_by_name(
    acme: System, wrong: dict[str, object], pointer: str, says: str
) -> None:
    answer = acme.post("/senders", RELAY | wrong)
    assert says in refused(answer)[pointer], answer.text
    assert "canary" not in answer.text
    assert not done(acme.get("/senders"))["items"]


def test_a_name_is_taken_once(acme: System, globex: System) -> None:
    done(acme.post("/senders", RELAY), 201)
    assert "already" in refused(acme.post("/senders", RELAY))["/name"]
    done(globex.post("/senders", RELAY), 201)


@pytest.mark.parametrize(
    "change",
    [
        {"server": "smtp.evil.test"},
        {"port": 2587},
        {"encryption": "tls"},
        {"username": "other"},
        {"domain": "ACME"},
        {"from_address": "x@acme.test", "username": None},
    ],
)
def test_another_destination_needs_the_secret_again(
    acme: System, change: dict[str, object]
) -> None:
    before = done(acme.post("/senders", RELAY), 201)
    for path, body in (("/senders/relay", change), ("/senders/relay/test", change)):
        if path.endswith("test"):
            answer = acme.post(path, body | {"to": "a@acme.test"})
        else:
            answer = acme.patch(path, body)
        assert "again" in refused(answer)["/password"]
    assert done(acme.get("/senders/relay")) == before
    changed = done(acme.patch("/senders/relay", change | {"password": "new"}))
    assert changed["secret_set"]


def test_what_is_no_destination_keeps_the_secret(acme: System) -> None:
    done(acme.post("/senders", RELAY), 201)
    changed = done(acme.patch("/senders/relay", {"name": "r2", "per_minute": 30, "priority": 5}))
    assert (changed["name"], changed["per_minute"], changed["priority"]) == ("r2", 30, 5)
    assert changed["secret_set"]
    refused(acme.get("/senders/relay"), 404)


def test_a_host_token_activates_untested_and_allows_a_login_in_clear(host: System) -> None:
    path = "/organizations/acme/senders"
    clear = {"encryption": "none", "allow_clear_login": True, "active": True}
    made = done(host.post(path, RELAY | clear), 201)
    assert (made["active"], made["state"], made["default"]) == (True, "active", True)
    draft = done(host.patch(f"{path}/relay", {"server": "b.test", "password": "x"}))
    assert (draft["state"], draft["draft"], draft["active"]) == ("draft", True, True)
    own = done(host.post("/senders", RELAY | {"verify": False, "active": True}), 201)
    assert own["verify"] is False


def test_a_passed_test_activates_what_is_saved(acme: System, cast: Cast) -> None:
    with SmtpServer() as server:
        allow(acme.app, server)
        report = done(acme.post("/senders/test", at(server, to=cast.alice.email)))
        assert report["passed"], report
        assert [message.recipients for message in server.messages] == [(cast.alice.email,)]
        made = done(acme.post("/senders", at(server, active=True)), 201)
    assert made["active"]
    done(acme.patch("/settings/mail", {"mode": "own"}))
    (delivery,) = done(acme.post("/alerts", ALERT), 202)["deliveries"]
    assert delivery["state"] == "queued"


def test_a_report_is_given_whether_it_passed_or_not(host: System, cast: Cast) -> None:
    body = {"to": "bob@acme.test", "check_only": True}
    with SmtpServer() as server:
        report = done(host.post("/senders/test", at(server) | body))
        assert report["passed"] and not report["sent"]
        assert server.messages == []
        assert {"steps", "capabilities", "tls", "transcript"} <= set(report)
        assert set(report["steps"][0]) == {"step", "ok", "ms", "detail"}
    with SmtpServer(script={"rcpt": reply("550 5.1.1 no such user")}) as server:
        failed = done(host.post("/senders/test", at(server) | body))
    assert not failed["passed"]
    failure = failed["failure"]
    assert (failure["step"], failure["code"], failure["enhanced_code"]) == ("rcpt", 550, "5.1.1")
    assert failure["cause"] and failure["cure"]


def test_a_stored_sender_is_tested_by_name_and_leaves_a_record(
    app: Flask, host: System, cast: Cast
) -> None:
    with SmtpServer() as server:
        done(host.post("/senders", at(server)), 201)
        first = host.post("/senders/open/test", {"to": cast.rita.email}, key="t1")
        again = host.post("/senders/open/test", {"to": cast.rita.email}, key="t1")
        assert done(first)["sent"] and again.data == first.data
        assert len(server.messages) == 1
    with app.app_context():
        record = db.session.scalars(select(Delivery)).one()
        assert (record.kind, record.state.value) == ("mail.test", "accepted")


def test_too_many_tests_are_told_when_to_come_back(acme: System) -> None:
    body = RELAY | {"to": "bob@acme.test", "check_only": True, "server": "127.0.0.1"}
    with_limit(acme.app, acme)
    answer = acme.post("/senders/test", body)
    refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_test_names_a_real_address(acme: System) -> None:
    assert "/to" in refused(acme.post("/senders/test", RELAY | {"to": "a\r\nb@x.test"}))
    assert "/to" in refused(acme.post("/senders/test", RELAY))


def test_deleting_the_default_leaves_the_scope_not_configured(globex: System) -> None:
    assert default_of(globex) == "main"
    assert done(globex.call("DELETE", "/senders/main"), 204) is None
    assert default_of(globex) is None
    (delivery,) = done(globex.post("/alerts", ALERT), 202)["deliveries"]
    assert (delivery["state"], delivery["reason"]) == ("held", "not_configured")
    refused(globex.call("DELETE", "/senders/main"), 404)


@pytest.mark.parametrize("name", ["main", "platform", "none", "a%00b", "%E2%80%AE", "x" * 101])
def test_a_sender_of_somebody_else_looks_absent(acme: System, name: str) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test")):
        body = {"to": "a@acme.test"} if method == "POST" else {}
        answer = acme.call(method, f"/senders/{name}{path}", body)
        refused(answer, 404)
        absent = acme.call(method, f"/senders/nothing{path}", body)
        assert answer.data == absent.data


def default_of(system: System) -> Any:
    return done(system.get("/settings/mail"))["default_sender"]["value"]


def allow(app: Flask, server: SmtpServer) -> None:
    """Let organizations connect to this server, as an operator does for an internal relay."""
    with app.app_context():
        changes.save_allowed_destinations([f"{server.host}:{server.port}"], actor=OPERATOR)
        db.session.commit()


def with_limit(app: Flask, system: System) -> None:
    """As many tests as the token may make, a moment ago."""
    with app.app_context():
        for _ in range(100):
            db.session.add(TestRun(scope="x", actor=f"token:{system.token_id}"))
        db.session.commit()
