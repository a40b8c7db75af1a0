"""Alerts over the API: raised, repeated, resolved, and what their mail starts as."""

import uuid

import pytest

from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused

DELIVERY = {
    "id", "notification_id", "organization", "kind", "recipient", "subject", "sender", "level",
    "state", "reason", "resource", "server", "ip", "requested_from", "attempt_count",
    "may_be_duplicate", "created_at", "accepted_at", "next_attempt_at", "message_id", "code",
    "reply",
}  # fmt: skip


def test_an_alert_is_accepted_with_its_deliveries(acme: System, cast: Cast) -> None:
    raised = done(acme.post("/alerts", ALERT), 202)
    assert set(raised) == {"id", "notification_id", "repeated", "deliveries", "left_out"}
    assert raised["left_out"] == []
    (delivery,) = raised["deliveries"]
    assert set(delivery) == DELIVERY
    assert not raised["repeated"]
    assert delivery["notification_id"] == raised["notification_id"]
    assert delivery["recipient"] == cast.alice.email
    assert (delivery["state"], delivery["organization"]) == ("queued", "acme")
    assert delivery["created_at"].endswith("Z")
    assert delivery["accepted_at"] is None and delivery["server"] is None


def test_who_gets_no_mail_is_in_the_answer_with_the_reason(acme: System, cast: Cast) -> None:
    entries = [f"user:{cast.carol.email}", "user:nobody@acme.test", cast.alice.email]
    raised = done(acme.post("/alerts", ALERT | {"recipients": entries}), 202)
    assert [delivery["recipient"] for delivery in raised["deliveries"]] == [cast.alice.email]
    assert raised["left_out"] == [
        {"entry": entry, "reason": "not_a_member"} for entry in entries[:2]
    ]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"title": "\u00ad\u200b"}, "/title"),
        ({"recipients": ["a" * 65 + "@acme.test"]}, "/recipients/0"),
    ],
)
def test_what_no_mail_can_carry_is_refused_at_the_door(
    acme: System, wrong: dict[str, object], pointer: str
) -> None:
    assert pointer in refused(acme.post("/alerts", ALERT | wrong), 422)


def test_what_was_raised_can_be_read(acme: System) -> None:
    resource = {"name": "db-1", "url": "https://ops.test/db-1", "type": "server"}
    said = ALERT | {
        "text": "95 %",
        "resource": resource,
        "labels": {"rack": "7"},
        "starts_at": "2026-11-20T12:00:00+02:00",
        "dedupe_key": "disk/db-1",
    }
    raised = done(acme.post("/alerts", said), 202)
    alert = done(acme.get(f"/alerts/{raised['id']}"))
    assert alert["resource"] == resource
    assert (alert["title"], alert["text"], alert["labels"]) == ("Disk full", "95 %", {"rack": "7"})
    assert alert["starts_at"] == "2026-11-20T10:00:00.000000Z"
    assert (alert["status"], alert["severity"]) == ("firing", "critical")


def test_without_a_dedupe_key_each_call_is_an_alert(acme: System) -> None:
    first, second = (done(acme.post("/alerts", ALERT), 202) for _ in range(2))
    assert first["id"] != second["id"] and not second["repeated"]


def test_a_repeat_answers_with_the_first_id_and_sends_nothing(acme: System) -> None:
    said = ALERT | {"dedupe_key": "disk"}
    first, second = (done(acme.post("/alerts", said), 202) for _ in range(2))
    assert second == first | {"repeated": True, "deliveries": []}


def test_a_resolved_alert_ends_and_the_next_one_is_new(acme: System) -> None:
    said = ALERT | {"dedupe_key": "disk"}
    first = done(acme.post("/alerts", said), 202)
    over = done(acme.post("/alerts", said | {"status": "resolved"}), 202)
    assert over["id"] == first["id"] and over["repeated"]
    assert done(acme.get(f"/alerts/{first['id']}"))["status"] == "resolved"
    assert done(acme.post("/alerts", said), 202)["id"] != first["id"]


def test_resolving_what_nobody_raised_is_accepted_with_no_id(acme: System) -> None:
    over = done(acme.post("/alerts", {"status": "resolved", "dedupe_key": "never"}), 202)
    nothing = {"id": None, "notification_id": None, "repeated": False}
    assert over == nothing | {"deliveries": [], "left_out": []}


def test_resolved_without_a_key_is_refused(acme: System) -> None:
    assert "/dedupe_key" in refused(acme.post("/alerts", ALERT | {"status": "resolved"}))


def test_an_alert_is_resolved_and_acknowledged_by_id_once(acme: System) -> None:
    alert_id = done(acme.post("/alerts", ALERT), 202)["id"]
    for path, field in (("acknowledge", "acknowledged_at"), ("resolve", "resolved_at")):
        first, second = (done(acme.post(f"/alerts/{alert_id}/{path}")) for _ in range(2))
        assert first[field] and first == second


def test_alerts_come_newest_first_page_by_page(acme: System) -> None:
    made = [done(acme.post("/alerts", ALERT), 202)["id"] for _ in range(3)]
    page = done(acme.get("/alerts?limit=2"))
    rest = done(acme.get(f"/alerts?limit=2&after={page['next']}"))
    assert [alert["id"] for alert in page["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    assert not done(acme.get("/alerts?status=resolved"))["items"]


def test_named_recipients_get_it_and_strangers_do_not_by_the_host_sender(
    acme: System, globex: System, cast: Cast
) -> None:
    named = ALERT | {"recipients": [cast.bob.email, "eve@outside.test", "role:administrator"]}
    states = {d["recipient"]: d for d in done(acme.post("/alerts", named), 202)["deliveries"]}
    assert states[cast.bob.email]["state"] == states[cast.alice.email]["state"] == "queued"
    stranger = states["eve@outside.test"]
    assert (stranger["state"], stranger["reason"]) == ("suppressed", "external_recipient")
    outside = ALERT | {"recipients": ["eve@outside.test"]}
    assert done(globex.post("/alerts", outside), 202)["deliveries"][0]["state"] == "queued"


@pytest.mark.parametrize(
    ("wrong", "pointer", "says"),
    [
        ({"title": None}, "/title", "Say in one line"),
        ({"title": "a\r\nBcc: x@y.test"}, "/title", "line break"),
        ({"title": 7}, "/title", "text"),
        ({"severity": "fatal"}, "/severity", "info"),
        ({"severity": None}, "/severity", "info"),
        ({"status": "open"}, "/status", "firing"),
        ({"recipients": []}, "/recipients", "at least one"),
        ({"recipients": ["not an address"]}, "/recipients/0", "email address"),
        ({"recipients": "alice@acme.test"}, "/recipients", "list"),
        ({"recipients": ["alice@acme.test", 5]}, "/recipients/1", "text"),
        ({"resource": "db-1"}, "/resource", "object"),
        ({"resource": {"url": "javascript:alert(1)"}}, "/resource/url", "https"),
        ({"resource": {"link": "https://x.test"}}, "/resource/link", "no such key"),
        ({"labels": {"a": 1}}, "/labels/a", "text"),
        ({"starts_at": "yesterday"}, "/starts_at", "2026-11-21T10:00:00Z"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "/starts_at", "time"),
        ({"starts_at": 5}, "/starts_at", "time"),
        ({"severitty": "info"}, "/severitty", "Did you mean severity?"),
        ({"organization": "globex"}, "/organization", "no such key"),
        ({"text": "a\u0000b"}, "/text", "U+0000"),
        ({"title": "\ud800"}, "/title", "surrogate"),
    ],
)
def test_wrong_input_is_refused_by_name_with_the_cure(
    acme: System, wrong: dict[str, object], pointer: str, says: str
) -> None:
    errors = refused(acme.post("/alerts", ALERT | wrong))
    assert says in errors[pointer], errors
    assert not done(acme.get("/alerts"))["items"]


def test_every_wrong_key_is_named_at_once(acme: System) -> None:
    errors = refused(acme.post("/alerts", {"title": 1, "severity": "x", "what": 2}))
    assert set(errors) == {"/title", "/severity", "/what"}


def test_another_organizations_alert_looks_absent(acme: System, globex: System, cast: Cast) -> None:
    alert_id = done(globex.post("/alerts", ALERT), 202)["id"]
    for method, path in (("GET", ""), ("POST", "/resolve"), ("POST", "/acknowledge")):
        other = acme.call(method, f"/alerts/{alert_id}{path}")
        absent = acme.call(method, f"/alerts/{uuid.uuid4()}{path}")
        foreign = acme.call(method, f"/organizations/globex/alerts/{alert_id}{path}")
        nowhere = acme.call(method, f"/organizations/nowhere/alerts/{alert_id}{path}")
        assert other.status_code == 404
        assert other.data == absent.data == foreign.data == nowhere.data
