"""What the script adds to pages, in a real browser."""

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests.portal.web.gallery import app as gallery


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, gallery.create_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(
        base_url=address, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    yield page
    context.close()


def test_the_port_follows_the_encryption(page: Page) -> None:
    page.goto("/show/sender")
    page.get_by_label("STARTTLS").check()
    assert page.get_by_label("Port", exact=True).input_value() == "587"
    page.get_by_label("None").check()
    assert page.get_by_label("Port", exact=True).input_value() == "25"


def test_a_typed_port_stays(page: Page) -> None:
    page.goto("/show/sender")
    page.get_by_label("Port", exact=True).fill("2525")
    page.get_by_label("STARTTLS").check()
    assert page.get_by_label("Port", exact=True).input_value() == "2525"


def test_typing_a_secret_chooses_to_replace_it(page: Page) -> None:
    page.goto("/show/sender")
    page.get_by_label("Keep the stored one").check()
    page.get_by_label("New value: Password or authorization code").fill("code")
    assert page.get_by_label("Replace it with").is_checked()


def test_the_save_bar_names_what_is_unsaved(page: Page) -> None:
    page.goto("/show/mail-settings")
    bar = page.locator(".gp-save-bar p")
    assert bar.inner_text() == "A change applies from the next message."
    page.get_by_label("Display name").fill("Globex")
    page.get_by_label("No mail").check()
    assert bar.inner_text() == "2 unsaved changes: Mode, Display name"
    page.get_by_label("Display name").fill("Globex Alerts")
    assert bar.inner_text() == "1 unsaved change: Mode"
    page.get_by_label("Own senders").check()
    assert bar.inner_text() == "A change applies from the next message."


def test_leaving_with_unsaved_changes_asks_first(page: Page) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto("/show/mail-settings")
    page.get_by_label("Display name").press_sequentially("!")
    page.goto("/show/overview")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize("way_out", ["Save mail settings", "Cancel"])
def test_saving_and_cancelling_do_not_ask(page: Page, way_out: str) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto("/show/mail-settings")
    page.get_by_label("Display name").press_sequentially("!")
    with page.expect_navigation():
        page.locator(".gp-save-bar").get_by_text(way_out, exact=True).click()
    assert asked == []


def test_a_second_click_sends_nothing(page: Page) -> None:
    page.goto("/show/decision")
    stopped = page.evaluate(
        """() => {
            const stopped = [];
            const form = document.getElementById("decide");
            form.addEventListener("submit", (event) => {
                stopped.push(event.defaultPrevented);
                event.preventDefault();
            });
            form.requestSubmit();
            form.requestSubmit();
            return stopped;
        }"""
    )
    assert stopped == [False, True]


def test_a_code_can_be_copied(page: Page) -> None:
    page.goto("/show/record")
    page.get_by_role("button", name="Copy 01JD3V9Q-8KZ4-7C1E").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "01JD3V9Q-8KZ4-7C1E"


def test_a_slash_goes_to_the_search(page: Page) -> None:
    page.goto("/show/records")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("a/b")
    assert page.get_by_label("Subject or recipient").input_value() == "a/b"


def test_the_error_summary_takes_the_focus_and_leads_to_the_field(page: Page) -> None:
    page.goto("/show/sender")
    assert page.evaluate("document.activeElement.id") == "errors"
    page.get_by_role("link", name="SMTP server: Enter").click()
    assert page.evaluate("document.activeElement.id") == "server"


def test_the_policy_lets_everything_of_our_own_through(page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for name in gallery.PAGES:
        page.goto(f"/show/{name}")
    assert [text for text in said if "Content Security Policy" in text] == []


def test_no_page_scrolls_sideways_on_a_phone(page: Page) -> None:
    for width in (320, 360, 768, 1180):
        page.set_viewport_size({"width": width, "height": 800})
        for name in gallery.PAGES:
            page.goto(f"/show/{name}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide at {width}"


def test_on_a_phone_the_navigation_opens_and_closes_without_script(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(
        base_url=address, java_script_enabled=False, viewport={"width": 360, "height": 800}
    )
    page = context.new_page()
    page.goto("/show/overview")
    assert not page.get_by_role("link", name="Members").is_visible()
    page.get_by_role("link", name="Menu").click()
    assert page.get_by_role("link", name="Members").is_visible()
    page.get_by_role("link", name="Close").click()
    assert not page.get_by_role("link", name="Members").is_visible()
    context.close()
