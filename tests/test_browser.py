"""The page object signs in as a person would."""

import pytest
from flask import Flask

from tests.browser import SIGN_IN, Browser
from tests.cast import Cast


@pytest.mark.parametrize("name", ["rita", "alice", "bob", "carol", "dave"])
def test_everyone_signs_in_and_arrives_at_a_page(name: str, visit: Browser, cast: Cast) -> None:
    page = visit.sign_in(getattr(cast, name))
    assert page.response.status_code == 200
    assert page.heading


def test_a_wrong_password_stays_on_the_sign_in_page(visit: Browser, cast: Cast) -> None:
    values = {"email": cast.alice.email, "password": "not the right one"}
    page = visit.open(SIGN_IN).submit(values, status=422)
    assert page.path == SIGN_IN
    assert page.errors


def test_a_page_that_needs_sign_in_leads_there(visit: Browser) -> None:
    page = visit.open("/me/profile")
    assert page.path.startswith(SIGN_IN)


def test_two_browsers_share_no_cookie(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    stranger = Browser(app).open("/")
    assert stranger.path.startswith(SIGN_IN)
