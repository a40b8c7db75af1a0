"""Sending records over the API: filters, pages, one with its attempts, and what is hidden."""

import uuid
from typing import Any

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, Level, State
from portal.extensions import db
from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.portal.web.api.test_alerts import DELIVERY


def raised(system: System, **said: Any) -> dict[str, Any]:
    found: dict[str, Any] = done(system.post("/alerts", ALERT | said), 202)["deliveries"][0]
    return found


def carried(app: Flask, delivery_id: str, level: Level) -> None:
    """Write down that the relay took it, as the worker does."""
    with app.app_context():
        row = db.session.get_one(Delivery, uuid.UUID(delivery_id))
        route = {"sender": "main", "server": "relay.test", "ip": "192.0.2.7"}
        reply = "250 2.0.0 queued by relay.test"
        for name, value in route.items():
            setattr(row, name, value)
        row.state, row.level, row.reply, row.code = State.ACCEPTED, level, reply, 250
        row.accepted_at, row.attempt_count, row.next_attempt_at = utcnow(), 1, None
        attempt = Attempt(delivery_id=row.id, organization_id=row.organization_id, number=1)
        attempt.started_at, attempt.ms, attempt.phase = utcnow(), 12, "dot"
        attempt.outcome, attempt.reply, attempt.code = AttemptOutcome.ACCEPTED, reply, 250
        for name, value in route.items():
            setattr(attempt, name, value)
        db.session.add(attempt)
        db.session.commit()


def test_one_record_with_its_attempts(app: Flask, globex: System) -> None:
    delivery_id = raised(globex)["id"]
    carried(app, delivery_id, Level.ORGANIZATION)
    found = done(globex.get(f"/deliveries/{delivery_id}"))
    assert set(found) == DELIVERY | {"attempts"}
    assert (found["state"], found["level"], found["server"]) == (
        "accepted",
        "organization",
        "relay.test",
    )
    (attempt,) = found["attempts"]
    assert attempt.pop("started_at").endswith("Z")
    assert attempt == {
        "number": 1,
        "ms": 12,
        "sender": "main",
        "server": "relay.test",
        "ip": "192.0.2.7",
        "phase": "dot",
        "cause": None,
        "code": 250,
        "enhanced_code": None,
        "reply": "250 2.0.0 queued by relay.test",
        "outcome": "accepted",
    }


def test_an_organization_never_learns_the_platforms_server(
    app: Flask, acme: System, host: System
) -> None:
    delivery_id = raised(acme)["id"]
    carried(app, delivery_id, Level.HOST)
    for path in (f"/deliveries/{delivery_id}", "/deliveries"):
        text = acme.get(path).text
        assert "relay.test" not in text and "192.0.2.7" not in text
        assert "queued" not in text, "the text of a reply is the server's own"
    seen = done(acme.get(f"/deliveries/{delivery_id}"))
    assert (seen["code"], seen["reply"]) == (250, None)
    assert (seen["attempts"][0]["code"], seen["attempts"][0]["reply"]) == (250, None)
    for path in (f"/deliveries/{delivery_id}", f"/organizations/acme/deliveries/{delivery_id}"):
        seen = done(host.get(path))
        assert (seen["server"], seen["ip"]) == ("relay.test", "192.0.2.7")
        assert seen["attempts"][0]["server"] == "relay.test"


def test_records_are_filtered(app: Flask, acme: System, cast: Cast) -> None:
    one = raised(acme, title="Disk full", resource={"name": "db-1", "url": "https://x.test/1"})
    two = raised(acme, title="磁盘满了", recipients=["eve@outside.test"])
    for query, expected in (
        ("", [two, one]),
        ("state=suppressed", [two]),
        ("reason=external_recipient", [two]),
        ("kind=alert.raised", [two, one]),
        ("kind=mail.test", []),
        ("sender=main", []),
        (f"recipient={cast.alice.email}", [one]),
        ("resource=db-1", [one]),
        (f"message_id={one['message_id']}", [one]),
        (f"notification_id={two['notification_id']}", [two]),
        ("q=isk", [one]),
        ("q=磁盘", [two]),
        ("q=outside", [two]),
        ("from=2020-01-01T00:00:00Z&to=2020-01-02", []),
        ("from=2020-01-01T00:00:00+02:00", [two, one]),
        (f"from={one['created_at']}&to={two['created_at']}", [one]),
        ("state=&q=", [two, one]),
        ("limit=1", [two]),
    ):
        items = done(acme.get(f"/deliveries?{query}"))["items"]
        assert [item["id"] for item in items] == [item["id"] for item in expected], query


def test_pages_go_on_where_the_last_one_ended(acme: System) -> None:
    made = [raised(acme)["id"] for _ in range(3)]
    first = done(acme.get("/deliveries?limit=2"))
    second = done(acme.get(f"/deliveries?limit=2&after={first['next']}"))
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None


def test_the_host_reads_all_and_those_of_one(acme: System, globex: System, host: System) -> None:
    ours, theirs = raised(acme)["id"], raised(globex)["id"]
    assert [d["id"] for d in done(host.get("/deliveries"))["items"]] == [theirs, ours]
    for path in ("/deliveries?organization=acme", "/organizations/acme/deliveries"):
        items = done(host.get(path))["items"]
        assert [(d["id"], d["organization"]) for d in items] == [(ours, "acme")]
    refused(host.get("/deliveries?organization=nowhere"))


def test_another_organizations_record_looks_absent(acme: System, globex: System) -> None:
    theirs = acme.get(f"/deliveries/{raised(globex)['id']}")
    refused(theirs, 404)
    assert theirs.data == acme.get(f"/deliveries/{uuid.uuid4()}").data
    assert not done(acme.get("/deliveries"))["items"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("state=sent", "/state"),
        ("level=x", "/level"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=many", "/limit"),
        ("after=x", "/after"),
        ("notification_id=x", "/notification_id"),
        ("from=yesterday", "/from"),
        ("to=2020-13-01", "/to"),
        ("from=2026-11-02&to=2026-11-01", "/to"),
        ("kind=alert.rised", "/kind"),
        ("recipent=a@b.test", "/recipent"),
        ("q=a%00b", "/q"),
        ("q=a&q=b", "/q"),
        ("organization=globex", "/organization"),
    ],
)
def test_a_wrong_filter_is_refused_and_not_ignored(acme: System, query: str, pointer: str) -> None:
    assert pointer in refused(acme.get(f"/deliveries?{query}"))
