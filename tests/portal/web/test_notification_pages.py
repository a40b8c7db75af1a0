"""Pages of alerts and approvals: raising, reading, acting; who may and who may not."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.audit.log import SYSTEM
from portal.clock import utcnow
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.notifications import alerts, routing
from portal.notifications.models import Alert, Approval, ApprovalState
from tests.browser import Browser
from tests.cast import Cast, Person, Tenant
from tests.portal.records.records import organization_of
from tests.portal.web.asking import ask

ALERTS = "/organizations/acme/alerts"
APPROVALS = "/organizations/acme/approvals"
HOSTILE = "<script>alert(1)</script> & <b>bold</b>"


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def alert_in(app: Flask, tenant: Tenant, title: str = "Disk full", **values: str) -> uuid.UUID:
    with app.app_context():
        said = alerts.parse_raise(title=title, **({"severity": "error"} | values))  # type: ignore[arg-type]
        made = alerts.raise_alert(organization_of(tenant), said, actor=SYSTEM).alert
        db.session.commit()
        return made.id


def members_may_not_raise(app: Flask, tenant: Tenant) -> None:
    with app.app_context():
        routing.allow_members(organization_of(tenant), may_raise=False, actor=SYSTEM)
        db.session.commit()


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_an_alert_is_raised_and_tells_who_was_told(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(ALERTS).follow("Raise an alert")
    page = page.submit(
        {
            "Title": "Disk full",
            "severity": "Critical",
            "Text": "Two lines\nof text",
            "Resource": "orders-db",
            "Link to the resource": "https://console.acme.test/orders-db",
        },
        button="Raise the alert",
    )
    assert page.heading == "Disk full"
    assert "1 told, 0 left out" in page.text and "Raised by Alice Ames" in page.text
    assert page.follow("Alice Ames").heading.endswith("Disk full")


def test_an_alert_can_name_its_recipients(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(f"{ALERTS}/new")
    page = page.submit(
        {
            "Title": "Disk full",
            "told": "named",
            "members": ["Bob Bauer, bob@acme.test"],
            "Addresses": "dave@both.test\nuser:gone@acme.test",
        },
        button="Raise the alert",
    )
    assert "2 told, 1 left out" in page.text
    assert all(name in page.text for name in ("Bob Bauer", "Dave Dunn", "gone@acme.test"))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"Title": ""}, "Title"),
        ({"Title": "Disk", "Link to the resource": "javascript:alert(1)"}, "Link to the resource"),
        ({"Title": "Disk", "told": "named"}, "Addresses"),
        ({"Title": "Disk", "told": "named", "Addresses": "bob@acme.test\nnobody"}, "Addresses"),
        ({"Title": "x" * 301}, "Title"),
    ],
)
def test_what_was_typed_stays_and_the_error_names_its_field(
    app: Flask, cast: Cast, values: dict[str, str], field: str
) -> None:
    page = as_(app, cast.alice).open(f"{ALERTS}/new")
    typed = {"Text": "Kept as it was"} | values
    refused = page.submit(typed, button="Raise the alert", status=422)
    assert [error.split(":")[0] for error in refused.errors] == [field]
    form = refused.form("Raise the alert")
    for label, value in typed.items():
        assert (form.value(label) or "").replace("\r\n", "\n") == value
    assert count(app, Alert) == 0


def test_an_alert_is_acknowledged_and_resolved_by_posts_alone(app: Flask, cast: Cast) -> None:
    path = f"{ALERTS}/{alert_in(app, cast.acme)}"
    bob = as_(app, cast.bob)
    for act in ("acknowledge", "resolve"):
        assert bob.client.get(f"{path}/{act}").status_code == 405
    page = bob.open(path)
    assert "Nobody has acknowledged it yet" in page.text
    page = page.submit(button="Acknowledge")
    assert "Bob Bauer is at it" in page.text
    page = page.submit(button="Resolve")
    assert "Over since" in page.text and "Acknowledged by Bob Bauer" in page.text
    assert "No alert" not in page.text and "Disk full" not in bob.open(ALERTS).text
    assert "Disk full" in bob.open(f"{ALERTS}?show=past").text


def test_a_list_narrows_by_words_and_severity(app: Flask, cast: Cast) -> None:
    alert_in(app, cast.acme, "Disk full")
    alert_in(app, cast.acme, "Pump broken", severity="info")
    alert_in(app, cast.globex, "Disk of Globex")
    page = as_(app, cast.alice).open(ALERTS)
    assert "Disk full" in page.text and "Pump" in page.text and "Globex" not in page.text
    page = page.submit({"Title or resource": "disk", "Severity": "Error"}, button="Search")
    assert "Disk full" in page.text and "Pump" not in page.text
    page = page.browser.open(f"{page.path}&show=all&before=x")
    assert "Remove all" in page.text


def test_where_members_may_not_raise_they_read_alone(app: Flask, cast: Cast) -> None:
    path = f"{ALERTS}/{alert_in(app, cast.acme)}"
    members_may_not_raise(app, cast.acme)
    bob = as_(app, cast.bob)
    page = bob.open(path)
    assert page.root.query("main form") == []
    assert "Raise an alert" not in bob.open(ALERTS).text
    bob.open(f"{ALERTS}/new", status=403)
    bob.open(f"{APPROVALS}/new", status=403)
    assert as_(app, cast.alice).open(f"{ALERTS}/new").heading == "Raise an alert"


def test_things_of_another_organization_answer_like_absent_ones(app: Flask, cast: Cast) -> None:
    alert, asked = alert_in(app, cast.globex), ask(app, cast.globex, cast.carol)
    alice = as_(app, cast.alice)
    token = alice.open(f"{ALERTS}/new").form("Raise the alert").data["csrf_token"]
    for path in (f"{ALERTS}/{alert}", f"{APPROVALS}/{asked.id}", f"{ALERTS}/{uuid.uuid4()}"):
        alice.open(path, status=404)
        for act in ("acknowledge", "resolve", "decide", "withdraw"):
            answer = alice.client.post(f"{path}/{act}", data={"csrf_token": token})
            assert answer.status_code == 404
    alice.open(ALERTS.replace("acme", "globex"), status=404)
    assert asked.state is ApprovalState.PENDING


def test_hostile_words_are_shown_as_words(app: Flask, cast: Cast) -> None:
    path = f"{ALERTS}/{alert_in(app, cast.acme, HOSTILE, text=HOSTILE)}"
    ask(app, cast.acme, cast.alice, title=HOSTILE)
    alice = as_(app, cast.alice)
    for address in (path, ALERTS, APPROVALS, "/organizations/acme/overview"):
        page = alice.open(address)
        assert HOSTILE in page.text
        assert page.root.query("main script, main b b") == []


def test_a_request_is_made_decided_and_told(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.bob).open(APPROVALS).follow("Ask for an approval")
    page = page.submit(
        {"Title": "Release?", "approvers": ["alice@acme.test", "dave@both.test"]},
        button="Ask for the approval",
    )
    assert "Bob Bauer asks for an approval" in page.text and "link not opened yet" in page.text
    alice = as_(app, cast.alice).open(f"{APPROVALS}?for=me").follow("Release?")
    assert "yours decides" in alice.text
    decided = alice.submit({"Comment": "Go"}, button="Approve")
    assert "Approved by Alice Ames" in decided.text and "Go" in decided.text
    assert count(app, Delivery) == 4
    assert "Release?" not in as_(app, cast.alice).open(f"{APPROVALS}?for=me").text


def test_only_named_approvers_decide_on_the_page(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice)
    bob = as_(app, cast.bob)
    page = bob.open(f"{APPROVALS}/{asked.id}")
    assert "Your decision" not in page.text and "Withdraw" not in page.text
    token = bob.open(f"{ALERTS}/new").form("Raise the alert").data["csrf_token"]
    for act in ("decide", "withdraw"):
        answer = bob.client.post(
            f"{APPROVALS}/{asked.id}/{act}", data={"csrf_token": token, "verdict": "approved"}
        )
        assert answer.status_code == 403
    assert asked.state is ApprovalState.PENDING


def test_the_requester_or_an_administrator_withdraws(app: Flask, cast: Cast) -> None:
    for person in (cast.bob, cast.alice):
        asked = ask(app, cast.acme, cast.dave, by=cast.bob)
        page = as_(app, person).open(f"{APPROVALS}/{asked.id}").submit(button="Withdraw")
        assert "is withdrawn" in page.text and asked.state is ApprovalState.WITHDRAWN


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"Title": "", "approvers": ["alice@acme.test"]}, "Title"),
        ({"Title": "Release?"}, "Approvers"),
        (
            {"Title": "Release?", "approvers": ["alice@acme.test"], "Open until": "2020-01-01"},
            "Open until",
        ),
        (
            {"Title": "Release?", "approvers": ["alice@acme.test"], "Open until": "soon"},
            "Open until",
        ),
    ],
)
def test_a_request_that_cannot_be_made_keeps_what_was_typed(
    app: Flask, cast: Cast, values: dict[str, str | bool | list[str]], field: str
) -> None:
    page = as_(app, cast.bob).open(f"{APPROVALS}/new")
    typed = {"Text": "Why it should be"} | values
    refused = page.submit(typed, button="Ask for the approval", status=422)
    assert [error.split(":")[0] for error in refused.errors] == [field]
    assert refused.form("Ask for the approval").value("Text") == "Why it should be"
    assert count(app, Approval) == 0


def test_a_request_whose_time_is_over_says_so_before_a_job_has(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice)
    with app.app_context():
        db.session.get_one(Approval, asked.id).expires_at = utcnow() - timedelta(minutes=1)
        db.session.commit()
    alice = as_(app, cast.alice)
    assert "Nothing was decided" in alice.open(f"{APPROVALS}/{asked.id}").text
    assert "Expired" in alice.open(f"{APPROVALS}?state=expired").text
    assert "No request matches" in alice.open(f"{APPROVALS}?state=pending").text


def test_no_page_changes_anything_by_being_read(app: Flask, cast: Cast) -> None:
    alert, asked = alert_in(app, cast.acme), ask(app, cast.acme, cast.alice)
    alice = as_(app, cast.alice)
    before = (count(app, Alert), count(app, Approval), count(app, Delivery))
    for path in (
        ALERTS,
        f"{ALERTS}/new",
        f"{ALERTS}/{alert}",
        APPROVALS,
        f"{APPROVALS}/{asked.id}",
    ):
        alice.open(path)
    assert (count(app, Alert), count(app, Approval), count(app, Delivery)) == before
    assert asked.state is ApprovalState.PENDING and asked.visits == 0


def test_empty_lists_say_what_belongs_there(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    assert "Nothing is firing" in alice.open(ALERTS).text
    assert "No requests yet" in alice.open(APPROVALS).text
