"""The first run with a mail catcher: offered where one is there, and said what it does."""

import dataclasses
import socket

import pytest
from flask import Flask

from portal.settings import effective
from portal.settings.models import VersionState
from portal.settings.scope import HOST
from portal.web import mail_catchers
from tests.browser import Page
from tests.page_rules import text_of
from tests.portal.web.test_set_up_pages import first
from tests.smtp_server import SmtpServer, reply

__all__ = ["first"]
SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def offered(page: Page) -> str | None:
    """What the page of the first sender says of a mail catcher."""
    notice = [text_of(one) for one in page.root.query(".gp-notice")]
    choice = list(page.root.query("input[value=catcher]"))
    assert len(notice) == len(choice)
    return notice[0] if notice else None


def test_the_portals_own_mail_catcher_becomes_the_first_sender(app: Flask, first: Page) -> None:
    with SmtpServer() as catcher:
        place = f"127.0.0.1:{catcher.port}"
        config = app.extensions["config"]
        app.extensions["config"] = dataclasses.replace(config, mail_catcher_at=place)
        page = first.submit({"Title prefix": "[Acme]", "Language of letters": "en"})
        said = offered(page) or ""
        assert f"A mail catcher answers at {place} (built in)." in said
        assert "nothing leaves it" in said

        form = page.submit({"provider": "catcher"})
        assert f"Filled in for the mail catcher at {place} (built in), not saved yet." in form.text
        tested = form.submit(button="Send test mail")
        assert "Passed" in tested.text
        (mail,) = catcher.messages
        assert mail.message["From"] == "Acme Cloud <portal@localhost>"
        assert tested.submit(button="Save and activate").path == "/host/set-up/done"
    with app.app_context():
        sender = effective.default_sender(HOST)
        assert sender is not None and sender.name == "mail-catcher"
        assert effective.version_of(sender, VersionState.ACTIVE) is not None


@SQLITE
@pytest.mark.parametrize(
    ("greeting", "name"),
    [
        ("220 box Mailpit ESMTP Service ready", "Mailpit"),
        ("220 mailhog.example ESMTP MailHog", "MailHog"),
        ("220 127.0.0.1 ESMTP Service Ready", None),
        ("554 mailpit is full", None),
    ],
)
def test_a_server_on_this_machine_is_offered_only_when_it_says_that_it_keeps_mail(
    first: Page, monkeypatch: pytest.MonkeyPatch, greeting: str, name: str | None
) -> None:
    with SmtpServer() as server:
        server.set_script(greeting=reply(greeting))
        monkeypatch.setattr(mail_catchers, "_USUAL", ("127.0.0.1", server.port))
        page = first.follow("Later")
        said = offered(page)
        assert (said is None) is (name is None)
        if name:
            assert f"127.0.0.1:{server.port} ({name})" in str(said)
            data = page.submit({"provider": "catcher"}).form("Save as draft").data
            assert (data["server"], data["port"]) == ("127.0.0.1", str(server.port))
            assert (data["encryption"], data["authentication"]) == ("none", "none")


@SQLITE
def test_without_one_nothing_is_offered_and_asking_for_it_leaves_the_form_empty(
    first: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(mail_catchers, "_USUAL", taken.getsockname())
        assert offered(first.follow("Later")) is None
        form = first.browser.open("/host/senders/new?set_up=yes&provider=catcher")
        assert not form.form("Save as draft").data["server"]
