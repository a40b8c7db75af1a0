"""Overviews and the delivery engine: one sentence, few numbers, and what to do next."""

from datetime import timedelta

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.clock import new_id, utcnow
from portal.delivery.models import Attempt, State, Worker
from portal.extensions import db
from portal.settings import changes, senders
from portal.settings.effective import default_sender
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from tests.browser import Browser, Page
from tests.cast import Cast, Person
from tests.page_rules import text_of
from tests.portal.records.records import organization_of, told
from tests.portal.web.api.calling import done
from tests.portal.web.api.conftest import MakeSystem, system
from tests.portal.web.asking import ask

__all__ = ["system"]


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def sentence(page: Page) -> str:
    return text_of(page.root.query(".gp-fact-say")[0])


def tile(page: Page, name: str) -> str:
    (found,) = [
        text_of(one.query(".gp-tile-value")[0])
        for one in page.root.query(".gp-tile")
        if text_of(one.query(".gp-tile-name")[0]) == name
    ]
    return found


def a_worker(app: Flask) -> None:
    with app.app_context():
        db.session.add(Worker(id="mail-1:4711", heartbeat_at=utcnow()))
        db.session.commit()


def a_mail(app: Flask, cast: Cast, state: State) -> None:
    with app.app_context():
        delivery = told(cast.acme, "Disk full")[0]
        delivery.state = state
        if state is State.ACCEPTED:
            delivery.accepted_at = delivery.created_at + timedelta(seconds=1)
        db.session.commit()


def fail(sender: Sender, cause: str) -> None:
    sender.consecutive_failures, sender.last_failure_cause = 3, cause
    sender.last_failure_at = sender.failing_since_at = utcnow()
    sender.next_probe_at = utcnow() + timedelta(minutes=4)


def test_a_quiet_host_says_that_mail_flows(app: Flask, cast: Cast) -> None:
    a_worker(app)
    page = as_(app, cast.rita).open("/host/overview")
    assert sentence(page) == "Mail of 2 organizations flows. Nothing waits."
    assert "1 inherit, 1 own, 0 off" in page.text


def test_a_host_without_a_worker_says_so_first(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.rita).open("/host/overview")
    assert sentence(page).startswith("No worker runs")
    page = page.browser.open("/host/delivery-engine")
    assert sentence(page).startswith("No worker has been heard of")


def test_a_failing_sender_is_named_with_whose_it_is_and_what_waits(app: Flask, cast: Cast) -> None:
    a_worker(app)
    with app.app_context():
        sender = default_sender(Scope.of(organization_of(cast.globex)))
        assert sender is not None
        sender.consecutive_failures, sender.last_failure_cause = 3, "auth_refused"
        sender.last_failure_at = utcnow()
        sender.next_probe_at = utcnow() + timedelta(minutes=4)
        held = told(cast.globex, "Disk full")[0]
        held.state, held.reason, held.sender_id = State.HELD, "sender_failing", sender.id
        db.session.commit()
    page = as_(app, cast.rita).open("/host/overview")
    assert sentence(page).startswith("Globex has a failing sender. Held mail: 1")
    assert "Sign-in refused" in page.text and tile(page, "Failing senders") == "1 of 2"
    page = page.browser.open("/host/delivery-engine")
    assert "Sign-in refused" in page.text and "next probe at" in page.text


def test_the_page_of_a_failing_sender_says_what_is_held_and_what_helps(
    app: Flask, cast: Cast, system: MakeSystem
) -> None:
    began = utcnow() - timedelta(minutes=1)
    with app.app_context():
        sender = default_sender(Scope.of(organization_of(cast.globex)))
        assert sender is not None
        fail(sender, "auth_refused")
        for title in ("Disk full", "Disk still full"):
            held = told(cast.globex, title)[0]
            held.state, held.reason, held.sender_id = State.HELD, "sender_failing", sender.id
            held.sender = sender.name
        tried = Attempt(delivery_id=held.id, organization_id=cast.globex.id, number=1)
        tried.id, tried.started_at, tried.is_route_fault = new_id(), began, True
        tried.phase, tried.cause, tried.code = "auth", "auth_refused", 535
        db.session.add(tried)
        db.session.commit()
        path, name = f"/organizations/globex/senders/{sender.id}", sender.name
    page = as_(app, cast.carol).open(path)
    assert "Mail that is held for it: 2 , the oldest since" in page.text
    assert "Next probe" in page.text and "none due" not in page.text
    notice = text_of(page.root.query("main .gp-notice")[0])
    assert "Many providers want an app password" in notice, (
        "why, and what helps, as in the mail that tells of it"
    )
    records = page.follow("Show the held mail")
    assert "Disk full" in records.text and "Disk still full" in records.text
    queue = done(system(cast.globex, "read", "configure").get(f"/senders/{name}"))["queue"]
    assert (queue["waiting"], queue["held"]) == (2, 2)
    assert queue["held_since"] is not None


def test_an_organization_is_told_that_the_platforms_sender_fails(app: Flask, cast: Cast) -> None:
    with app.app_context():
        sender = default_sender(HOST)
        assert sender is not None
        fail(sender, "connect_timeout")
        for title in ("One", "Two", "Three"):
            held = told(cast.acme, title)[0]
            held.state, held.reason, held.sender_id = State.HELD, "sender_failing", sender.id
        db.session.commit()
    page = as_(app, cast.alice).open("/organizations/acme/overview")
    said = sentence(page)
    assert said.startswith("The platform’s sender is failing since ")
    assert "Mail of Acme waits, nothing is lost" in said
    assert "3 waiting" in page.text and "3 held" in page.text and "0 waiting" not in page.text


def test_a_new_host_is_told_the_next_steps(app: Flask, cast: Cast) -> None:
    with app.app_context():
        host = default_sender(HOST)
        assert host is not None
        senders.delete(HOST, host, actor=OPERATOR)
        db.session.commit()
    page = as_(app, cast.rita).open("/host/overview")
    assert "no sender that is ready" in sentence(page)
    assert page.follow("Give the platform a sender").path == "/host/set-up/sender"


def test_the_numbers_of_an_organization_are_its_own(app: Flask, cast: Cast) -> None:
    for state in (State.ACCEPTED, State.ACCEPTED, State.FAILED, State.HELD):
        a_mail(app, cast, state)
    ask(app, cast.acme, cast.alice)
    page = as_(app, cast.alice).open("/organizations/acme/overview")
    failed = tile(page, "Failed or unknown in 24 h")
    assert (tile(page, "Accepted in 24 h"), failed) == ("2", "1")
    assert tile(page, "Waiting") == "2"
    assert "Disk full" in page.text and "Release billing" in page.text
    assert "platform’s server" in sentence(page)
    page = as_(app, cast.carol).open("/organizations/globex/overview")
    assert tile(page, "Accepted in 24 h") == "0" and "Disk full" not in page.text


def test_each_number_of_what_failed_leads_to_the_records_that_it_counts(
    app: Flask, cast: Cast
) -> None:
    for state in (State.UNKNOWN, State.UNKNOWN, State.EXPIRED, State.ACCEPTED):
        a_mail(app, cast, state)
    page = as_(app, cast.alice).open("/organizations/acme/overview")
    assert tile(page, "Failed or unknown in 24 h") == "3"
    assert "1 expired , 2 unknown" in page.text and "0 failed" not in page.text
    for overview in (page, as_(app, cast.rita).open("/host/overview")):
        for link, number in (("2 unknown", 2), ("1 expired", 1)):
            listed = overview.follow(link)
            assert len(listed.root.query("main tbody tr")) == number
    assert "From day" in listed.text


def test_a_member_sees_no_records_on_the_overview(app: Flask, cast: Cast) -> None:
    a_mail(app, cast, State.FAILED)
    page = as_(app, cast.bob).open("/organizations/acme/overview")
    assert tile(page, "Failed or unknown in 24 h") == "1" and "1 failed" in page.text
    assert not [a for a in page.root.query("a") if "/records" in (a.attrs["href"] or "")]


def test_an_organization_without_a_sender_is_told_the_next_step(app: Flask, cast: Cast) -> None:
    with app.app_context():
        acme = organization_of(cast.acme)
        changes.save_mail_settings(Scope.of(acme), {"mode": "own"}, actor=OPERATOR)
        db.session.commit()
    page = as_(app, cast.alice).open("/organizations/acme/overview")
    assert "no default sender" in sentence(page)
    assert page.follow("Set up a sender of your own").path.endswith("/senders")
    assert "Set up a sender" not in as_(app, cast.bob).open("/organizations/acme/overview").text


@pytest.mark.parametrize("path", ["/host/overview", "/host/delivery-engine", "/host/records"])
def test_pages_of_the_host_are_for_system_administrators(app: Flask, cast: Cast, path: str) -> None:
    as_(app, cast.alice).open(path, status=403)
    as_(app, cast.rita).open("/organizations/acme/overview", status=403)
