"""Set-up, recovery and invitation, from the link to the page that follows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity import links, throttle, users
from portal.identity.models import LinkPurpose, User
from portal.settings import effective
from tests.browser import SIGN_IN, Browser
from tests.cast import PASSWORD, Cast, Person

NEW = "nine rivers under one bridge"
FIRST = {
    "Name of the platform": "Acme Cloud",
    "Name": "Rita Root",
    "Email address": "rita@gatepost.test",
    "Password": NEW,
}


@pytest.fixture
def set_up(app: Flask) -> str:
    """The path of a set-up link."""
    with app.app_context():
        token = links.create_setup_link()
        db.session.commit()
    return f"/set-up/{token}"


def mailed_link(app: Flask) -> str:
    """The path of the link in the newest mail."""
    with app.app_context():
        newest = db.session.scalars(select(Delivery).order_by(Delivery.id.desc())).first()
        assert newest is not None
        (url,) = outbox.secrets_of(newest.id).values()
        return url.removeprefix("http://127.0.0.1:8000")


def test_the_set_up_link_makes_the_first_account_and_signs_it_in(app: Flask, set_up: str) -> None:
    visit = Browser(app)
    page = visit.open(set_up).submit(FIRST)
    assert page.path.startswith("/host/")
    assert "rita@gatepost.test" in visit.open("/me/profile").text
    with app.app_context():
        assert effective.platform_name() == "Acme Cloud"


def test_a_set_up_link_says_that_it_was_used(app: Flask, set_up: str) -> None:
    visit = Browser(app)
    visit.open(set_up).submit(FIRST)
    again = Browser(app).open(set_up, status=410)
    assert again.heading == "This link was used already"


def test_a_wrong_set_up_form_keeps_what_was_typed_and_names_every_field(
    app: Flask, set_up: str
) -> None:
    visit = Browser(app)
    wrong = {"Name": "Eve <e@e.test>", "Email address": "eve", "Password": "short"}
    page = visit.open(set_up).submit(FIRST | wrong, status=422)
    assert len(page.errors) == 3
    assert page.form().value("Name of the platform") == "Acme Cloud"
    assert page.form().value("Name") == "Eve <e@e.test>" and not page.form().value("Password")
    assert page.submit(FIRST).path.startswith("/host/")


def test_of_two_who_set_up_at_once_one_gets_through(app: Flask, set_up: str) -> None:
    pages = [Browser(app).open(set_up) for _ in range(2)]

    def send(number: int) -> int:
        form = pages[number].form()
        form.fill(FIRST | {"Email address": f"r{number}@gatepost.test"})
        return pages[number].browser.client.post(set_up, data=form.data).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, range(2))) == [303, 410]
    with app.app_context():
        assert len(db.session.scalars(select(User)).all()) == 1


def test_an_unknown_link_explains_itself(app: Flask) -> None:
    for purpose in ("set-up", "recovery", "invitation"):
        page = Browser(app).open(f"/{purpose}/{'x' * 43}", status=404)
        assert page.heading == "This link opens nothing"


def test_before_set_up_the_sign_in_page_says_where_the_link_is(app: Flask) -> None:
    assert "not set up yet" in Browser(app).open(SIGN_IN).text


def ask(visit: Browser, email: str) -> str:
    return visit.open("/recovery").submit({"email": email}).text


def test_recovery_answers_the_same_for_every_address(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    assert ask(visit, cast.bob.email) == ask(visit, "nobody@acme.test")
    with app.app_context():
        assert [d.recipient for d in db.session.scalars(select(Delivery))] == [cast.bob.email]


def test_recovery_ends_all_sessions_and_its_link_works_once(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    signed_in = Browser(app)
    signed_in.sign_in(cast.bob)
    ask(visit, cast.bob.email)
    link = mailed_link(app)
    visit.open(link).submit({"New password": "short"}, status=422)
    assert visit.open(link).submit({"New password": NEW}).path == SIGN_IN
    assert signed_in.open("/me/profile").path.startswith(SIGN_IN)
    visit.open(link, status=410)
    visit.sign_in(Person(cast.bob.id, cast.bob.email, cast.bob.name, NEW))


def test_a_recovery_link_runs_out_after_an_hour(app: Flask, visit: Browser, cast: Cast) -> None:
    ask(visit, cast.bob.email)
    with time_machine.travel(utcnow() + timedelta(minutes=61)):
        page = visit.open(mailed_link(app), status=410)
    assert page.heading == "This link has run out"


def test_a_recovery_link_never_follows_the_host_header(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    form = visit.open("/recovery").form()
    form.fill({"email": cast.bob.email})
    answer = visit.client.post("/recovery", data=form.data, headers={"Host": "localhost:6666"})
    assert answer.status_code == 303
    with app.app_context():
        delivery = db.session.scalars(select(Delivery)).one()
        assert outbox.secrets_of(delivery.id)["recovery_url"].startswith("http://127.0.0.1:8000/")


def test_who_asks_too_often_is_told_when_to_ask_again(visit: Browser, cast: Cast) -> None:
    for number in range(throttle.RECOVERIES_OF_ADDRESS):
        ask(visit, f"p{number}@acme.test")
    page = visit.open("/recovery").submit({"email": cast.bob.email}, status=429)
    assert page.heading == "Too many tries"


def test_what_is_no_address_is_named(visit: Browser, cast: Cast) -> None:
    page = visit.open("/recovery").submit({"email": "bob"}, status=422)
    assert "for example ann@example.com" in page.errors[0]


def invite(app: Flask, cast: Cast, email: str) -> str:
    alice = Browser(app)
    alice.sign_in(cast.alice)
    form = alice.open("/organizations/acme/members/new")
    form.submit({"Email address": email, "Name": "New One", "role": "member"})
    return mailed_link(app)


def test_a_new_person_accepts_with_a_name_and_a_password(app: Flask, cast: Cast) -> None:
    link, visit = invite(app, cast, "new@acme.test"), Browser(app)
    page = visit.open(link)
    assert page.form().value("Name") == "New One"
    page = page.submit({"Name": "Nora New", "Password": NEW})
    assert page.path.startswith("/organizations/acme/")
    visit.open(link, status=410)
    with app.app_context():
        assert users.authenticate("new@acme.test", NEW)


def test_a_person_with_an_account_signs_in_to_accept(app: Flask, cast: Cast) -> None:
    link, visit = invite(app, cast, cast.carol.email), Browser(app)
    page = visit.open(link).follow("Sign in")
    page = page.submit({"email": cast.carol.email, "password": PASSWORD})
    assert page.path == link
    assert page.submit(button="Accept the invitation").path.startswith("/organizations/acme/")


def test_someone_else_who_is_signed_in_cannot_accept(app: Flask, cast: Cast) -> None:
    link, visit = invite(app, cast, cast.carol.email), Browser(app)
    visit.sign_in(cast.bob)
    page = visit.open(link)
    assert "The invitation is for carol@globex.test" in page.text
    token = page.form("Sign out").data["csrf_token"]
    answer = visit.client.post(f"{link}/accept", data={"csrf_token": token})
    assert answer.status_code == 403


def test_an_invitation_of_a_deleted_organization_opens_nothing(app: Flask, cast: Cast) -> None:
    link, rita = invite(app, cast, "new@acme.test"), Browser(app)
    rita.sign_in(cast.rita)
    rita.open("/host/organizations/acme/delete").submit(button="Delete the organization")
    Browser(app).open(link, status=404)


def test_accepting_twice_at_once_makes_one_member(app: Flask, cast: Cast) -> None:
    link = invite(app, cast, "new@acme.test")
    pages = [Browser(app).open(link) for _ in range(2)]

    def send(number: int) -> int:
        form = pages[number].form()
        form.fill({"Name": "Nora", "Password": NEW})
        return pages[number].browser.client.post(link, data=form.data).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, range(2))) == [303, 410]


def test_the_pages_of_links_tell_no_other_site_their_address(app: Flask, cast: Cast) -> None:
    with app.app_context():
        user = users.by_email(cast.bob.email)
        _link, token = links.create(LinkPurpose.RECOVERY, user=user)
        db.session.commit()
    page = Browser(app).open(f"/recovery/{token}")
    assert page.response.headers["Referrer-Policy"] == "no-referrer"
