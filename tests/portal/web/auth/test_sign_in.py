"""Signing in and out by the pages."""

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.clock import utcnow
from portal.extensions import db
from portal.identity import throttle
from portal.identity.models import SignInSession
from portal.web.auth.signing import own_path
from tests.browser import SIGN_IN, Browser, Page
from tests.cast import Cast, Person


def attempt(visit: Browser, email: str, password: str, status: int = 422) -> Page:
    values = {"email": email, "password": password}
    return visit.open(SIGN_IN).submit(values, status=status)


def session_count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(SignInSession)) or 0


def start_page(visit: Browser, person: Person) -> str:
    return visit.sign_in(person).path


def test_each_person_arrives_where_they_work(app: Flask, cast: Cast) -> None:
    assert start_page(Browser(app), cast.rita).startswith("/host/")
    assert start_page(Browser(app), cast.alice).startswith("/organizations/acme/")
    assert start_page(Browser(app), cast.dave).startswith("/organizations/acme/")


def test_an_unknown_account_and_a_wrong_password_get_the_same_answer(
    visit: Browser, cast: Cast
) -> None:
    wrong = attempt(visit, cast.alice.email, "not the right one")
    unknown = attempt(visit, "nobody@acme.test", "not the right one")
    assert wrong.errors == unknown.errors and wrong.errors
    assert cast.alice.email in wrong.form().value("email") and not wrong.form().value("password")


def test_a_sign_in_makes_a_new_session_and_ends_the_one_before(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.alice)
    first = visit.client.get_cookie("gatepost")
    page = visit.open("/me/profile")
    token = page.form("Sign out").data["csrf_token"]
    values = {"email": cast.bob.email, "password": cast.bob.password, "csrf_token": token}
    assert visit.client.post(SIGN_IN, data=values).status_code == 303
    assert visit.client.get_cookie("gatepost") != first and session_count(app) == 1
    assert cast.bob.email in visit.open("/me/profile").text


def test_a_cookie_from_before_signing_out_opens_nothing(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    stolen = visit.client.get_cookie("gatepost")
    visit.open("/me/profile").submit(button="Sign out")
    assert stolen is not None
    visit.client.set_cookie("gatepost", stolen.value)
    assert visit.open("/me/profile").path.startswith(SIGN_IN)


def test_signing_out_by_a_link_is_not_possible(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    assert visit.client.get("/sign-out").status_code == 405


def test_the_page_that_was_asked_for_opens_after_signing_in(visit: Browser, cast: Cast) -> None:
    page = visit.open("/me/security?x=1")
    values = {"email": cast.alice.email, "password": cast.alice.password}
    assert page.submit(values).path == "/me/security?x=1"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "/\t/evil.test/",
        "\\\\evil.test",
        "javascript:alert(1)",
        "evil.test",
        "/%0d%0aX: y\r\nZ: q",
        "",
    ],
)
def test_only_own_paths_are_followed(target: str) -> None:
    assert own_path(target) is None


def test_an_address_elsewhere_leads_home_instead(visit: Browser, cast: Cast) -> None:
    page = visit.open(f"{SIGN_IN}?next=https://evil.test/")
    values = {"email": cast.alice.email, "password": cast.alice.password}
    assert page.submit(values).path.startswith("/organizations/acme/")


def test_after_ten_tries_the_page_says_when_the_next_one_counts(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    for _ in range(throttle.TRIES_OF_ACCOUNT):
        attempt(visit, cast.alice.email, "not the right one")
    refused = attempt(visit, cast.alice.email, cast.alice.password, status=429)
    assert int(refused.response.headers["Retry-After"]) > 0
    assert "the next try counts" in refused.text
    elsewhere = Browser(app)
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.44"
    assert elsewhere.sign_in(cast.alice)
    with time_machine.travel(utcnow() + throttle.WINDOW * 1.1):
        assert visit.sign_in(cast.alice)


def test_an_idle_session_ends_and_a_used_one_stays(visit: Browser, cast: Cast) -> None:
    start = utcnow()
    with time_machine.travel(start) as clock:
        visit.sign_in(cast.rita)
        for _ in range(3):
            clock.shift(90 * 60)
            assert visit.open("/me/profile").path == "/me/profile"
        clock.shift(3 * 60 * 60)
        assert visit.open("/me/profile").path.startswith(SIGN_IN)


def test_a_form_without_its_token_is_refused(visit: Browser, cast: Cast) -> None:
    values = {"email": cast.alice.email, "password": cast.alice.password}
    assert visit.client.post(SIGN_IN, data=values).status_code == 400


def test_a_body_of_two_mebibytes_is_refused(visit: Browser, cast: Cast) -> None:
    form = visit.open(SIGN_IN).form()
    form.fill({"email": "a" * (2 * 1024 * 1024), "password": "x"})
    page = visit.send(SIGN_IN, form.data, status=413)
    assert "too large" in page.heading
