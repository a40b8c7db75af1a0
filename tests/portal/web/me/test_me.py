"""A person's own pages."""

import pytest
from flask import Flask

from portal.identity import throttle
from tests.browser import Browser
from tests.cast import PASSWORD, Cast, Person

NEW = "nine rivers under one bridge"
CHANGE = {"Current password": PASSWORD, "New password": NEW}


def signed_in(app: Flask, person: Person, agent: str = "Firefox") -> Browser:
    visit = Browser(app)
    visit.client.environ_base["HTTP_USER_AGENT"] = agent
    visit.sign_in(person)
    return visit


def test_a_profile_is_saved_and_shown(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    values = {"Name": "Bob the Builder", "Language": "en", "Time zone": "Asia/Shanghai"}
    page = visit.open("/me/profile").submit(values)
    assert "Profile saved." in page.text
    assert page.form().value("Name") == "Bob the Builder"
    assert page.form().value("Time zone") == "Asia/Shanghai"


@pytest.mark.parametrize("name", ["Bob\r\nBcc: x@y.test", "x@y.test", "", "b" * 201])
def test_a_wrong_name_is_kept_in_the_form_and_not_saved(
    visit: Browser, cast: Cast, name: str
) -> None:
    visit.sign_in(cast.bob)
    page = visit.open("/me/profile").submit({"Name": name}, status=422)
    assert page.errors[0].startswith("Name:")
    assert visit.open("/me/profile").form().value("Name") == cast.bob.name


def test_a_time_zone_that_is_none_is_refused(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    form = visit.open("/me/profile").form()
    form.data["timezone"] = "../../etc/passwd"
    assert visit.client.post("/me/profile", data=form.data).status_code == 422


def test_the_password_changes_only_with_the_current_one(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    page = visit.open("/me/security").submit(
        CHANGE | {"Current password": "a wrong guess here"}, button="Change password", status=422
    )
    assert "not your current password" in page.errors[0]
    page = visit.open("/me/security").submit(CHANGE, button="Change password")
    assert "Password changed." in page.text
    visit.open("/me/profile").submit(button="Sign out")
    visit.sign_in(Person(cast.bob.id, cast.bob.email, cast.bob.name, NEW))


def test_a_weak_new_password_is_refused(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    page = visit.open("/me/security").submit(
        CHANGE | {"New password": "short"}, button="Change password", status=422
    )
    assert page.errors == ["New password: Choose at least 12 characters; this has 5."]


def test_guessing_the_current_password_is_limited(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    page = visit.open("/me/security")
    wrong = CHANGE | {"Current password": "a wrong guess here"}
    for _ in range(throttle.TRIES_OF_ACCOUNT):
        page = page.submit(wrong, button="Change password", status=422)
    page.submit(CHANGE, button="Change password", status=429)


def test_sessions_are_listed_and_one_can_be_ended(app: Flask, cast: Cast) -> None:
    here, there = signed_in(app, cast.bob, "Here"), signed_in(app, cast.bob, "There")
    page = here.open("/me/security")
    assert "There" in page.text and "This one" in page.text
    page = page.submit(button="End the session from 127.0.0.1")
    assert "There" not in page.text
    assert there.open("/me/profile").path.startswith("/sign-in")
    assert here.open("/me/profile").path == "/me/profile"


def test_all_other_sessions_can_be_ended_at_once(app: Flask, cast: Cast) -> None:
    here = signed_in(app, cast.bob)
    others = [signed_in(app, cast.bob) for _ in range(2)]
    here.open("/me/security").submit(button="End all other sessions")
    assert all(other.open("/me/profile").path.startswith("/sign-in") for other in others)


def test_nobody_ends_the_session_of_somebody_else(app: Flask, cast: Cast) -> None:
    bob, alice = signed_in(app, cast.bob), signed_in(app, cast.alice)
    signed_in(app, cast.bob)
    form = bob.open("/me/security").form("End the session from 127.0.0.1")
    token = alice.open("/me/security").form("Change password").data["csrf_token"]
    answer = alice.client.post(form.action, data={"csrf_token": token})
    assert answer.status_code == 404


def test_a_script_in_the_name_of_a_browser_is_text(app: Flask, cast: Cast) -> None:
    visit = signed_in(app, cast.bob, "<script>alert(1)</script>")
    page = visit.open("/me/security")
    assert "<script>alert(1)</script>" in page.text
    assert "<script>alert" not in page.response.text
