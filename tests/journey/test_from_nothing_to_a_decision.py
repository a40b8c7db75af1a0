"""The whole job in a real browser: set-up, sender, test, organization, alert, approval, record.

Real processes, a real mail server on a socket, and people who only click and type.
"""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.running import RunningPortal, running
from tests.smtp_server import SmtpServer

_PASSWORD = "four quiet herons waded"
_LINK = re.compile(r"https?://[^\s<>\"]+")


def test_from_nothing_to_a_decided_approval(tmp_path: Path, browser: Browser) -> None:
    with SmtpServer() as server, running(tmp_path) as portal:
        rita = browser.new_page(base_url=portal.address)
        set_up(rita, portal)
        add_first_sender(rita, server)
        invite_the_first_administrator(rita)
        alice = browser.new_page(base_url=portal.address)
        accept_invitation(alice, link_in(server, "alice@acme.test", "/invitation/"))
        raise_alert(alice)
        ask_for_approval(alice)
        decide_from_the_mail(alice, link_in(server, "alice@acme.test", "verdict=approved"))
        find_the_records(alice)


def set_up(page: Page, portal: RunningPortal) -> None:
    link = next(found for found in _LINK.findall(portal.said("/set-up/")) if "/set-up/" in found)
    page.goto(link)
    page.fill("[name=platform]", "Acme Cloud")
    page.fill("[name=name]", "Rita Root")
    page.fill("[name=email]", "rita@acme.test")
    page.fill("[name=password]", _PASSWORD)
    page.get_by_role("button", name="Create the account").click()


def add_first_sender(page: Page, server: SmtpServer) -> None:
    page.goto("/host/senders/new")
    page.fill("[name=from_address]", "no-reply@acme.test")
    page.fill("[name=display_name]", "Acme Cloud")
    page.fill("[name=name]", "platform")
    page.fill("[name=server]", server.host)
    page.get_by_label("None").first.check()
    page.fill("[name=port]", str(server.port))
    page.select_option("[name=authentication]", "none")
    page.get_by_role("button", name="Send test mail").click()
    expect(page.locator("main")).to_contain_text("Passed")
    test_mail = server.wait_for_messages(1)[0]
    assert "Congratulations! Your mail server is configured successfully." in text_of(test_mail)
    page.locator(".gp-save-bar .btn-go, .gp-save-bar .gp-btn-go").click()
    expect(page.locator("main")).to_contain_text("platform")
    page.goto("/host/mail-settings")
    expect(page.locator("main")).to_contain_text(f"goes through {server.host}:{server.port}")


def invite_the_first_administrator(page: Page) -> None:
    page.goto("/host/organizations/new")
    page.fill("[name=name]", "Acme")
    page.fill("[name=administrator_email]", "alice@acme.test")
    page.fill("[name=administrator_name]", "Alice Ames")
    page.get_by_role("button", name="Create the organization").click()


def accept_invitation(page: Page, link: str) -> None:
    page.goto(link)
    page.fill("[name=password]", _PASSWORD)
    page.get_by_role("button", name="Accept the invitation").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def raise_alert(page: Page) -> None:
    page.goto("/organizations/acme/alerts/new")
    page.fill("[name=title]", "Disk of db-1 is full")
    page.locator("[name=severity][value=critical]").check()
    page.get_by_role("button", name="Raise the alert").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Disk of db-1 is full")


def ask_for_approval(page: Page) -> None:
    page.goto("/organizations/acme/approvals/new")
    page.fill("[name=title]", "Release 4.12 to production")
    page.locator("[name=approvers]").first.check()
    page.get_by_role("button", name="Ask for the approval").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Release 4.12")


def decide_from_the_mail(page: Page, link: str) -> None:
    page.goto(link)
    expect(page.locator("main")).not_to_contain_text("Approved by")
    page.get_by_role("button", name=re.compile("Approve")).click()
    expect(page.locator("main")).to_contain_text(re.compile("approved", re.IGNORECASE))
    page.goto(link)
    expect(page.locator("main")).to_contain_text(re.compile("approved by", re.IGNORECASE))


def find_the_records(page: Page) -> None:
    page.goto("/organizations/acme/records")
    main = page.locator("main")
    expect(main).to_contain_text("Disk of db-1 is full")
    expect(main).to_contain_text("Release 4.12 to production")
    page.get_by_role("link", name=re.compile("Disk of db-1 is full")).first.click()
    expect(main).to_contain_text("Accepted for alice@acme.test")


def link_in(server: SmtpServer, recipient: str, mark: str) -> str:
    """The first link with this mark in a mail to this person, waiting for the mail to come."""

    def found() -> str | None:
        links = [
            link
            for message in server.messages
            if recipient in message.recipients
            for link in _LINK.findall(text_of(message))
        ]
        return next((link for link in links if mark in link), None)

    with server.changed:
        assert server.changed.wait_for(lambda: found() is not None, 15), f"no mail with {mark}"
    link = found()
    assert link is not None
    return link


def text_of(message: object) -> str:
    body = message.message.get_body(("plain",))  # type: ignore[attr-defined]
    return str(body.get_content())
