"""Pages of sending records: who sees whose, filters in the address, one record, its letter."""

import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from portal.audit.log import OPERATOR, SYSTEM
from portal.clock import utcnow
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Role
from portal.notifications import accounts, alerts
from portal.records import search
from portal.settings.effective import default_sender
from portal.settings.scope import HOST
from tests.browser import Browser, Page
from tests.cast import Cast, Tenant
from tests.page_rules import text_of
from tests.portal.records.records import organization_of, told

HOSTILE = "<script>alert(1)</script> <b>bold</b>"
RELAY = "relay.host.test"


def made(app: Flask, tenant: Tenant, title: str, *recipients: str) -> uuid.UUID:
    with app.app_context():
        return told(tenant, title, *recipients)[0].id


def by_host(app: Flask, tenant: Tenant, title: str = "Disk full") -> uuid.UUID:
    """A mail that the host's server took on its second try."""
    with app.app_context():
        delivery, sender = told(tenant, title)[0], default_sender(HOST)
        assert sender is not None
        delivery.state, delivery.level = State.ACCEPTED, Level.HOST
        delivery.sender, delivery.sender_id = sender.name, sender.id
        delivery.server, delivery.ip = RELAY, "192.0.2.77"
        delivery.accepted_at, delivery.attempt_count = utcnow(), 2
        for number, outcome, reply in (
            (1, AttemptOutcome.DEFERRED, f"450 {RELAY} is busy"),
            (2, AttemptOutcome.ACCEPTED, f"250 {RELAY} [192.0.2.77] took it"),
        ):
            attempt = Attempt(
                organization_id=delivery.organization_id,
                delivery_id=delivery.id,
                number=number,
                started_at=utcnow(),
                server=RELAY,
                ip="192.0.2.77",
                sender_version=f"{sender.name}/1",
                outcome=outcome,
                reply=reply,
                phases=[{"phase": "rcpt", "ok": number == 2, "ms": 24}],
            )
            db.session.add(attempt)
        db.session.commit()
        return delivery.id


def subjects(page: Page) -> list[str]:
    return [text_of(link) for link in page.root.query("table th a")]


def test_an_administrator_sees_the_records_of_the_organization_alone(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    made(app, cast.acme, "Of Acme")
    made(app, cast.globex, "Of Globex")
    visit.sign_in(cast.alice)
    assert ["Of Acme" in one for one in subjects(visit.open("/organizations/acme/records"))] == [
        True
    ]
    visit.open("/organizations/globex/records", status=404)


def test_a_member_may_not_read_records(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    visit.open("/organizations/acme/records", status=403)
    visit.open("/host/records", status=403)


def test_the_host_sees_all_of_them_and_narrows_by_organization(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    made(app, cast.acme, "Of Acme")
    made(app, cast.globex, "Of Globex")
    visit.sign_in(cast.rita)
    page = visit.open("/host/records")
    assert len(subjects(page)) == 2 and "Globex" in page.text
    page = visit.open("/host/records?organization=globex")
    assert ["Of Globex" in one for one in subjects(page)] == [True]
    page = visit.open("/host/records?organization=nobody", status=422)
    assert page.errors == ["Organization: There is no such organization; choose one."]
    assert subjects(page) == []


def test_filters_stand_in_the_address_and_each_can_be_removed(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    made(app, cast.acme, "Disk full", "eve@elsewhere.test")
    made(app, cast.acme, "Pump broken")
    visit.sign_in(cast.alice)
    page = visit.open("/organizations/acme/records?state=suppressed&q=disk&kind=alert.raised")
    assert ["Disk full" in one for one in subjects(page)] == [True]
    tags = {text_of(tag.query("em")[0]): tag for tag in page.root.query(".gp-tag")}
    assert set(tags) == {"State", "Subject or recipient", "Kind"}
    fewer = visit.open(tags["State"].query("a")[0].attrs["href"] or "")
    assert "state=" not in fewer.path and "q=disk" in fewer.path
    assert len(subjects(fewer)) == 1
    assert len(subjects(page.follow("Remove all"))) == 2
    assert "No record matches" in visit.open("/organizations/acme/records?q=nothing-like-it").text


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        (
            "state=nonsense&from=31.12.2026&level=x&kind=y&notification=3&before=1&after=2",
            ["State", "Kind", "Level", "From day", "Notification"],
        ),
        ("q=%00%0d%0a&from=9999-12-31&to=0001-01-01", ["To day"]),
        (f"q={'x' * 5000}", []),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_and_stays(
    app: Flask, visit: Browser, cast: Cast, query: str, problems: list[str]
) -> None:
    made(app, cast.acme, "Disk full")
    visit.sign_in(cast.alice)
    page = visit.open(f"/organizations/acme/records?{query}", status=422 if problems else 200)
    links = page.root.query(".gp-error-summary li a")
    assert [text_of(link).partition(":")[0] for link in links] == problems
    for link in links:
        field = page.root.query(link.attrs["href"] or "")[0]
        given = parse_qs(query)[field.attrs["name"] or ""][0]
        chosen = field.query("option[selected]")
        assert (chosen[0] if chosen else field).attrs["value"] == given
        assert field.attrs["aria-invalid"] == "true"
    assert subjects(page) == []


def test_the_pages_lead_on_and_back(app: Flask, visit: Browser, cast: Cast) -> None:
    with app.app_context():
        people = [f"p{number}@elsewhere.test" for number in range(search.PAGE + 1)]
        told(cast.acme, "Disk full", *people)
    visit.sign_in(cast.alice)
    first = visit.open("/organizations/acme/records?q=disk")
    older = first.follow("Older")
    assert (len(subjects(first)), len(subjects(older))) == (search.PAGE, 1)
    assert "q=disk" in older.path
    newer = older.follow("Newer")
    assert len(subjects(newer)) == search.PAGE
    assert [a for a in newer.root.query("a") if text_of(a) == "Newer"] == []


def test_an_organization_never_learns_the_hosts_server(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    record = by_host(app, cast.acme)
    visit.sign_in(cast.alice)
    for path in ("", f"/{record}", f"/{record}?show=text", f"/{record}?show=headers"):
        page = visit.open(f"/organizations/acme/records{path}")
        assert RELAY not in page.response.text and "192.0.2.77" not in page.response.text
    assert "the platform’s server" in page.text
    host = Browser(app)
    host.sign_in(cast.rita)
    page = host.open(f"/host/records/{record}")
    assert RELAY in page.text and "192.0.2.77" in page.text


def test_a_record_says_in_one_sentence_what_became_of_it(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    record = by_host(app, cast.acme)
    visit.sign_in(cast.alice)
    page = visit.open(f"/organizations/acme/records/{record}")
    fact = text_of(page.root.query(".gp-fact-say")[0])
    assert fact.startswith("Accepted for alice@acme.test by the platform’s server at ")
    assert "on the second attempt" in fact and fact.endswith("after it was asked for.")


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_page(app: Flask, visit: Browser, cast: Cast, state: State) -> None:
    record = made(app, cast.acme, "Disk full")
    with app.app_context():
        delivery = db.session.get_one(Delivery, record)
        delivery.state, delivery.reason = state, "sender_failing"
        if state is State.ACCEPTED:
            delivery.accepted_at, delivery.attempt_count = utcnow(), 9
        db.session.commit()
    visit.sign_in(cast.alice)
    visit.open(f"/organizations/acme/records/{record}")
    visit.open("/organizations/acme/records")


def test_everyone_in_the_notification_stands_beside_with_the_reason(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        said = alerts.parse_raise(
            title="Disk full",
            severity="error",
            recipients=["alice@acme.test", "bob@acme.test", "user:gone@acme.test"],
        )
        raised = alerts.raise_alert(organization_of(cast.acme), said, actor=SYSTEM)
        db.session.commit()
        records = {row.recipient: row.id for row in raised.deliveries}
    visit.sign_in(cast.alice)
    page = visit.open(f"/organizations/acme/records/{records['alice@acme.test']}")
    assert "2 told, 1 left out" in page.text and "gone@acme.test" in page.text
    assert page.follow("Bob Bauer").path.endswith(str(records["bob@acme.test"]))


def test_records_of_others_answer_like_absent_ones(app: Flask, visit: Browser, cast: Cast) -> None:
    theirs = made(app, cast.globex, "Of Globex")
    visit.sign_in(cast.alice)
    for record in (theirs, uuid.uuid4()):
        visit.open(f"/organizations/acme/records/{record}", status=404)
        visit.open(f"/organizations/acme/records/{record}/letter", status=404)


def test_the_letter_is_framed_by_us_alone_and_can_do_nothing(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    record = made(app, cast.acme, HOSTILE)
    visit.sign_in(cast.alice)
    frame = visit.open(f"/organizations/acme/records/{record}").root.query("iframe")[0]
    assert "allow-scripts" not in (frame.attrs["sandbox"] or "")
    answer = visit.client.get(urlsplit(frame.attrs["src"] or "").path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ") and "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy and "script-src" not in policy
    assert "allow-scripts" not in policy and "allow-same-origin" not in policy
    assert "img-src data:" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in answer.headers["Cache-Control"]
    assert "<script>" not in answer.text and "&lt;script&gt;" in answer.text


def test_hostile_words_are_shown_as_words(app: Flask, visit: Browser, cast: Cast) -> None:
    record = made(app, cast.acme, HOSTILE)
    visit.sign_in(cast.alice)
    for path in ("/organizations/acme/records", f"/organizations/acme/records/{record}"):
        page = visit.open(path)
        assert "<script>alert(1)</script>" in page.text
        assert "<script>alert" not in page.response.text


def test_security_mail_is_not_shown_and_says_why(app: Flask, visit: Browser, cast: Cast) -> None:
    with app.app_context():
        accounts.invite(
            organization_of(cast.acme),
            email="new@acme.test",
            name="New",
            role=Role.MEMBER,
            actor=OPERATOR,
        )
        db.session.commit()
        record = db.session.query(Delivery).one().id
    visit.sign_in(cast.alice)
    page = visit.open(f"/organizations/acme/records/{record}")
    assert "Security mail is never shown" in page.text
    assert "/invitation/" not in page.response.text
    assert visit.client.get(f"/organizations/acme/records/{record}/letter").status_code == 404


def test_an_empty_list_says_what_belongs_there(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    assert "Every mail that was sent" in visit.open("/organizations/acme/records").text
