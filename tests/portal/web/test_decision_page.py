"""The page that a mailed link leads to: it shows, counts the visit, and decides by a post alone."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from portal.audit.log import OPERATOR, SYSTEM
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import members
from portal.identity.models import User
from portal.notifications import approvals
from portal.notifications.models import Approval, ApprovalState
from tests.browser import Browser, Page
from tests.cast import Cast, Person
from tests.page_rules import text_of
from tests.portal.records.records import organization_of
from tests.portal.web.asking import ask


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def buttons(page: Page) -> set[str]:
    return {text_of(button) for button in page.root.query("main button")}


def test_fifty_visits_to_every_link_decide_nothing_and_are_counted(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice, cast.bob)
    nobody, alice = app.test_client(), as_(app, cast.alice).client
    for link in asked.links.values():
        for verdict in ("approved", "rejected"):
            for _ in range(25):
                address = f"{link}?verdict={verdict}"
                assert nobody.get(address).status_code == 200
                assert alice.head(address).status_code == 200
    assert asked.state is ApprovalState.PENDING
    assert asked.visits == 200


def test_who_is_not_signed_in_sees_the_request_and_is_led_back_to_it(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    asked = ask(app, cast.acme, cast.bob)
    page = visit.open(asked.links[cast.bob.email] + "?verdict=rejected")
    assert page.heading == "Release billing 4.12.0?"
    assert "You are not signed in" in page.text and "Bob Bauer" in page.text
    assert buttons(page) == set()
    page = page.follow("Sign in to decide")
    page = page.submit({"email": cast.bob.email, "password": cast.bob.password})
    assert page.path.startswith(asked.links[cast.bob.email])
    assert "says Reject" in page.text
    assert asked.state is ApprovalState.PENDING


def test_the_approver_decides_with_a_button(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice, cast.bob)
    page = as_(app, cast.bob).open(asked.links[cast.bob.email])
    assert buttons(page) == {"Approve", "Reject"}
    page = page.submit({"Comment": "Looks right."}, button="Approve")
    assert asked.state is ApprovalState.APPROVED
    assert "You approved the request." in page.text
    assert "Approved by Bob Bauer" in page.text and "Looks right." in page.text
    assert buttons(page) == set()


def test_who_comes_later_is_told_and_not_blamed(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice, cast.bob)
    alice = as_(app, cast.alice).open(asked.links[cast.alice.email])
    as_(app, cast.bob).open(asked.links[cast.bob.email]).submit(button="Reject")
    page = alice.submit(button="Approve")
    assert "had ended before your decision came" in page.text
    assert "Rejected by Bob Bauer" in page.text
    assert asked.state is ApprovalState.REJECTED
    assert "Rejected by Bob Bauer" in Browser(app).open(asked.links[cast.alice.email]).text


def test_another_person_cannot_decide_by_it(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.alice, cast.bob)
    link = asked.links[cast.bob.email]
    mine = as_(app, cast.alice)
    page = mine.open(link)
    assert "This request is for Bob Bauer" in page.text
    assert "signed in as Alice Ames" in page.text
    form = page.form("Sign out")
    answer = mine.client.post(
        link, data={"csrf_token": form.data["csrf_token"], "verdict": "approved"}
    )
    assert answer.status_code == 403
    assert asked.state is ApprovalState.PENDING


def test_a_post_without_the_token_of_the_form_decides_nothing(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob)
    link = asked.links[cast.bob.email]
    bob = as_(app, cast.bob).client
    assert bob.post(link, data={"verdict": "approved"}).status_code == 400
    assert app.test_client().post(link, data={"verdict": "approved"}).status_code == 400
    assert asked.state is ApprovalState.PENDING


def test_after_signing_out_elsewhere_a_post_leads_to_sign_in(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob)
    link = asked.links[cast.bob.email]
    visit = Browser(app)
    token = visit.open("/sign-in").form().data["csrf_token"]
    answer = visit.client.post(link, data={"csrf_token": token, "verdict": "approved"})
    assert (answer.status_code, answer.location.split("?")[0]) == (303, "/sign-in")
    assert asked.state is ApprovalState.PENDING


@pytest.mark.parametrize("verdict", ["", "maybe", "pending"])
def test_a_verdict_that_is_none_is_refused(app: Flask, cast: Cast, verdict: str) -> None:
    asked = ask(app, cast.acme, cast.bob)
    page = as_(app, cast.bob).open(asked.links[cast.bob.email])
    form = page.form("Approve")
    form.data["verdict"] = verdict
    refused = page.browser.send(page.path, form.data, status=422)
    assert "Choose Approve or Reject." in refused.text
    assert asked.state is ApprovalState.PENDING


def test_a_comment_that_is_too_long_is_kept_and_refused(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob)
    page = as_(app, cast.bob).open(asked.links[cast.bob.email])
    page = page.submit({"Comment": "x" * 2001}, button="Reject", status=422)
    assert "2000" in page.errors[0]
    assert page.form("Reject").value("Comment") == "x" * 2001
    assert asked.state is ApprovalState.PENDING


def test_what_ran_out_or_was_withdrawn_explains_itself(app: Flask, cast: Cast) -> None:
    late, withdrawn = ask(app, cast.acme, cast.bob), ask(app, cast.acme, cast.bob)
    with app.app_context():
        db.session.get_one(Approval, late.id).expires_at = utcnow() - timedelta(minutes=1)
        approvals.withdraw(db.session.get_one(Approval, withdrawn.id), actor=SYSTEM)
        db.session.commit()
    bob = as_(app, cast.bob)
    for asked, say in ((late, "ran out"), (withdrawn, "was withdrawn")):
        page = bob.open(asked.links[cast.bob.email])
        assert say in page.text and buttons(page) == set()


def test_a_link_that_names_nobody_explains_itself(app: Flask, visit: Browser, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob)
    with app.app_context():
        acme, bob = organization_of(cast.acme), db.session.get_one(User, cast.bob.id)
        membership = members.membership_of(acme, bob)
        assert membership is not None
        members.remove(acme, membership, actor=OPERATOR)
        db.session.commit()
    for link in ("/decide/" + "x" * 43, asked.links[cast.bob.email]):
        page = visit.open(link, status=404)
        assert page.heading == "This link decides nothing"
        assert "billing" not in page.text


def test_the_page_is_not_kept_and_tells_no_one_its_address(app: Flask, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob)
    answer = app.test_client().get(asked.links[cast.bob.email])
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    token = asked.links[cast.bob.email].split("/")[-1]
    outward = re.findall(r'href="(https?://[^"]*)"', answer.text)
    assert not [link for link in outward if token in link]


def test_hostile_words_of_a_request_are_words(app: Flask, visit: Browser, cast: Cast) -> None:
    asked = ask(app, cast.acme, cast.bob, title="<img src=x> Release?")
    page = visit.open(asked.links[cast.bob.email])
    assert page.heading == "<img src=x> Release?"
    assert page.root.query("main img") == []
