"""API tokens and the audit log, at the host and in an organization."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from portal.audit import search
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import tokens
from tests.browser import Browser, Page
from tests.cast import Cast, Person
from tests.page_rules import text_of

PLACES = {"rita": "/host", "alice": "/organizations/acme"}
TOKEN = {"Name": "ci", "scopes": ["send", "read"]}


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def secret_on(page: Page) -> str:
    found = re.search(r"gp_[\w-]{20,}", page.text)
    assert found, page
    return found.group()


def opens(app: Flask, secret: str) -> bool:
    with app.app_context():
        found = tokens.authenticate(f"Bearer {secret}") is not None
        db.session.remove()
        return found


@pytest.mark.parametrize(("name", "place"), PLACES.items())
def test_a_token_is_shown_once_listed_and_revoked(
    app: Flask, cast: Cast, name: str, place: str
) -> None:
    visit = as_(app, getattr(cast, name))
    page = visit.open(f"{place}/api-tokens")
    assert "No tokens yet" in page.text
    page = visit.open(f"{place}/api-tokens/new").submit(TOKEN)
    secret = secret_on(page)
    assert opens(app, secret)
    page = page.follow("I have copied it")
    assert secret not in page.response.text and "Active" in page.text and "never" in page.text
    page = page.follow("Revoke ci")
    assert "It was never used." in page.text
    page = page.submit(button="Revoke")
    assert "Revoked" in page.text and not opens(app, secret)


def test_a_token_asked_for_twice_is_made_once(app: Flask, cast: Cast) -> None:
    form = as_(app, cast.alice).open("/organizations/acme/api-tokens/new")
    form.submit(TOKEN)
    assert "There is a token named ci" in form.submit(TOKEN, status=422).errors[0]


def test_a_token_needs_a_name_and_a_scope(app: Flask, cast: Cast) -> None:
    form = as_(app, cast.alice).open("/organizations/acme/api-tokens/new")
    assert len(form.submit({}, status=422).errors) == 2
    wrong = form.submit({"Name": "ci\r\nX: y", "scopes": ["send"]}, status=422)
    assert "control character" in wrong.errors[0]


def test_a_token_runs_out(app: Flask, cast: Cast) -> None:
    visit = as_(app, cast.alice)
    page = visit.open("/organizations/acme/api-tokens/new").submit(TOKEN | {"Valid for": "30"})
    secret = secret_on(page)
    with time_machine.travel(utcnow() + timedelta(days=31)):
        assert not opens(app, secret)
        assert "Expired" in as_(app, cast.alice).open("/organizations/acme/api-tokens").text


def test_a_token_of_another_organization_looks_absent(app: Flask, cast: Cast) -> None:
    visit = as_(app, cast.carol)
    page = visit.open("/organizations/globex/api-tokens/new").submit(TOKEN)
    path = page.follow("I have copied it").follow("Revoke ci").path
    as_(app, cast.alice).open(path.replace("globex", "acme"), status=404)
    as_(app, cast.rita).open(path.replace("organizations/globex", "host"), status=404)


def test_the_log_names_people_and_shows_what_changed(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    rita.open("/host/organizations/acme").submit({"Name": "Acme SE"}, button="Save name")
    page = rita.open("/host/audit")
    assert "Organization changed" in page.text and "Acme → Acme SE" in page.text
    assert "Rita Root" in page.text and "operator at the command line" in page.text
    page = as_(app, cast.alice).open("/organizations/acme/audit")
    assert "Acme → Acme SE" in page.text and "Globex" not in page.text


def test_the_log_is_narrowed_by_action_person_and_day(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    rita.open("/host/organizations/acme").submit({"Name": "Acme SE"}, button="Save name")
    page = rita.open("/host/audit?action=organization.changed&person=rita")
    assert len(page.root.query("tbody tr")) == 1
    page = page.follow("Remove filter: Who")
    assert page.path == "/host/audit?action=organization.changed"
    tomorrow = (utcnow() + timedelta(days=2)).date()
    assert "Nothing found" in rita.open(f"/host/audit?from={tomorrow}").text
    assert "Nothing found" in rita.open("/host/audit?to=2001-01-01").text
    assert "Nothing found" in rita.open("/host/audit?person=nobody+of+this+name").text


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday&to=9999-12-31",
        "before=1&after=x",
        "action=%00&person=%00%0d%0a",
        "from=0001-01-01&person=" + "x" * 500,
    ],
)
def test_nonsense_in_the_address_of_the_log_breaks_nothing(
    app: Flask, cast: Cast, query: str
) -> None:
    assert as_(app, cast.rita).open(f"/host/audit?{query}").heading == "Audit"


def test_the_log_pages_back_and_forth(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 3)
    rita = as_(app, cast.rita)

    def rows(page: Page) -> list[str]:
        return [text_of(row) for row in page.root.query("tbody tr")]

    first = rita.open("/host/audit")
    second = first.follow("Older")
    assert len(rows(first)) == len(rows(second)) == 3 and rows(first) != rows(second)
    assert rows(second.follow("Newer")) == rows(first)


def test_an_administrator_cannot_find_a_stranger_by_address(app: Flask, cast: Cast) -> None:
    rita, alice = as_(app, cast.rita), as_(app, cast.alice)
    rita.open("/host/organizations/acme").submit({"Name": "Acme SE"}, button="Save name")
    assert "Nothing found" in alice.open("/organizations/acme/audit?person=gatepost.test").text
    assert "Acme SE" in alice.open("/organizations/acme/audit?person=rita+root").text
