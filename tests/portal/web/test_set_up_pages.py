"""The first run, from the first account to an overview without a checklist."""

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import links, organizations
from portal.settings import effective
from portal.settings.scope import HOST
from tests.browser import Browser, Page
from tests.page_rules import text_of
from tests.portal.web.senders import typed_for
from tests.smtp_server import SmtpServer

FIRST = {
    "Name of the platform": "Acme Cloud",
    "Name": "Rita Root",
    "Email address": "rita@gatepost.test",
    "Password": "nine rivers under one bridge",
}
STEPS = ["Describe the platform", "Give the platform a sender", "Create an organization"]


@pytest.fixture
def first(app: Flask) -> Page:
    """The page after the first account."""
    with app.app_context():
        token = links.create_setup_link()
        db.session.commit()
    return Browser(app).open(f"/set-up/{token}").submit(FIRST)


def titles(page: Page) -> list[str]:
    return [text_of(a) for a in page.root.query(".gp-happens a")]


def test_every_step_may_wait_and_the_overview_says_what_is_left(first: Page) -> None:
    assert first.path == "/host/set-up/platform" and "http://127.0.0.1:8000" in first.text
    done = first.follow("Later").follow("Later")
    assert titles(done) == [*STEPS, "Invite people"]
    overview = done.follow("Go to the overview")
    assert titles(overview) == [*STEPS, "Invite people"]
    assert overview.follow("Describe the platform").path == first.path


def test_the_platform_is_described(app: Flask, first: Page) -> None:
    page = first.submit({"Title prefix": "[Acme]", "Language of letters": "zh"})
    assert page.path == "/host/set-up/sender"
    with app.app_context():
        stored = effective.settings_of(HOST)
        assert (stored.display_name, stored.title_prefix) == ("Acme Cloud", "[Acme]")
        assert stored.language == "zh"
    assert titles(page.follow("Later")) == [*STEPS[1:], "Invite people"]


def test_a_wrong_name_comes_back_with_its_reason(first: Page) -> None:
    page = first.submit({"Name of the platform": "Acme <root@acme.test>"}, status=422)
    assert page.errors and "root@acme.test" in page.form().data["display_name"]


def test_a_provider_fills_the_form_of_the_first_sender(first: Page) -> None:
    chosen = first.follow("Later").submit({"provider": "gmail"})
    assert chosen.path.startswith("/host/senders/new")
    data = chosen.form("Save as draft").data
    assert (data["server"], data["provider"]) == ("smtp.gmail.com", "gmail")
    assert chosen.follow("Cancel").path == "/host/set-up/sender"


def test_the_first_sender_is_tested_and_leads_back_to_what_is_next(first: Page) -> None:
    form = first.follow("Later").submit({"provider": "other"})
    with SmtpServer() as server:
        tested = form.submit(typed_for(server), button="Send test mail")
    assert "Passed" in tested.text
    done = tested.submit(button="Save and activate")
    assert done.path == "/host/set-up/done"
    assert "Give the platform a sender" not in titles(done)


def test_a_sender_that_waits_for_its_test_is_still_left(first: Page) -> None:
    form = first.follow("Later").submit({"provider": "other"})
    with SmtpServer() as server:
        done = form.submit(typed_for(server), button="Save as draft")
    assert done.follow("Give the platform a sender").path == "/host/senders"


def test_the_checklist_is_gone_when_all_is_done(app: Flask, first: Page) -> None:
    first.submit({"Language of letters": "en"})
    form = first.browser.open("/host/senders/new")
    with SmtpServer() as server:
        form.submit(typed_for(server), button="Activate without test")
    with app.app_context():
        organizations.create(name="Acme", short_name="acme", actor=OPERATOR)
        db.session.commit()
    visit = first.browser
    assert titles(visit.open("/host/overview")) == ["Invite people"]
    invited = {"Email address": "eve@acme.test", "Name": "Eve Example"}
    visit.open("/host/administrators/new").submit(invited)
    assert titles(visit.open("/host/overview")) == []
    assert visit.open("/host/set-up/done").heading == "The platform is set up"
