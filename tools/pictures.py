"""Takes the pictures of the documents from a running demo, so that they stay true.

.venv/bin/python tools/pictures.py docs/pictures          the pictures of the documents
.venv/bin/python tools/pictures.py FOLDER --every-page    every page: wide, phone, light, dark
"""

import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tools import troubles


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


PORTAL = Path(sysconfig.get_path("scripts")) / "portal"
PORT = free_port()
ADDRESS = f"http://127.0.0.1:{PORT}"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 800}
HOST, ACME, GLOBEX = "/host", "/organizations/acme", "/organizations/globex"
INITECH, HOOLI = "/organizations/initech", "/organizations/hooli"
RESTORED = "records?state=held&reason=restored_from_backup"

# Who looks at which page; `{first}` opens the first link of the page's table.
PAGES = {
    "rita@platform.test": [
        f"{HOST}/overview", f"{HOST}/mail-settings", f"{HOST}/mail-settings/edit",
        f"{HOST}/mail-settings/logo",
        f"{HOST}/set-up/platform", f"{HOST}/set-up/sender", f"{HOST}/set-up/done",
        f"{HOST}/senders", f"{HOST}/senders/new", f"{HOST}/senders {{first}}",
        f"{HOST}/organizations",
        f"{HOST}/organizations/new", f"{HOST}/administrators", f"{HOST}/records",
        f"{HOST}/records {{first}}", f"{HOST}/records/unknown", f"{HOST}/records/suppressions",
        f"{HOST}/{RESTORED}", f"{HOST}/{RESTORED} {{first}}",
        f"{HOST}/delivery-engine", f"{HOST}/api-tokens",
        f"{HOST}/audit", f"{HOST}/mail-catcher", f"{HOST}/mail-catcher {{first}}",
        "/me/profile", "/me/security",
    ],
    "carol@globex.test": [
        f"{GLOBEX}/overview", f"{GLOBEX}/mail-settings", f"{GLOBEX}/mail-settings/edit",
        f"{GLOBEX}/mail-settings/logo",
        f"{GLOBEX}/senders", f"{GLOBEX}/senders/new", f"{GLOBEX}/senders {{first}}",
        f"{GLOBEX}/members", f"{GLOBEX}/members/new", f"{GLOBEX}/routing", f"{GLOBEX}/alerts",
        f"{GLOBEX}/alerts/new", f"{GLOBEX}/alerts {{first}}", f"{GLOBEX}/approvals",
        f"{GLOBEX}/approvals/new", f"{GLOBEX}/approvals {{first}}", f"{GLOBEX}/records",
        f"{GLOBEX}/records {{first}}", f"{GLOBEX}/records/unknown",
        f"{GLOBEX}/records/suppressions",
        f"{GLOBEX}/api-tokens", f"{GLOBEX}/audit",
    ],
    "bob@acme.test": [f"{ACME}/overview", f"{ACME}/alerts", f"{ACME}/members"],
    "ines@initech.test": [
        f"{INITECH}/overview", f"{INITECH}/senders", f"{INITECH}/senders {{first}}",
        f"{INITECH}/records", f"{INITECH}/records {{first}}", f"{INITECH}/{RESTORED} {{first}}",
    ],
    "hugo@hooli.test": [
        f"{HOOLI}/overview", f"{HOOLI}/senders {{first}}", f"{HOOLI}/records {{first}}",
    ],
    None: ["/sign-in", "/recovery", "/no-such-page"],
}  # fmt: skip
DOCUMENTS = {
    "mail-settings": ("carol@globex.test", f"{GLOBEX}/mail-settings"),
    "sending-records": ("carol@globex.test", f"{GLOBEX}/records"),
}


def main(folder: Path, *, every_page: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with demo(in_trouble=every_page) as password, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        if every_page:
            take_every_page(browser, password, folder)
        else:
            for name, (who, path) in DOCUMENTS.items():
                page = signed_in(browser, who, password, "light", WIDE)
                take(page, path, folder / f"{name}.png", full=False)


def take_every_page(browser: Browser, password: str, folder: Path) -> None:
    for theme in ("light", "dark"):
        for size in (WIDE, PHONE):
            for who, paths in PAGES.items():
                page = signed_in(browser, who, password, theme, size)
                for path in paths:
                    short = re.sub(r"[^a-z]+", "-", path).strip("-") or "start"
                    name = f"{short}-{theme}-{size['width']}.png"
                    sys.stdout.write(f"{name} {take(page, path, folder / name, full=True)}\n")


def signed_in(
    browser: Browser, who: str | None, password: str, theme: str, size: dict[str, int]
) -> Page:
    page = browser.new_context(color_scheme=theme, viewport=size).new_page()  # type: ignore[arg-type]
    if who is not None:
        page.goto(f"{ADDRESS}/sign-in")
        page.fill("[name=email]", who)
        page.fill("[name=password]", password)
        page.click("main button")
    return page


def take(page: Page, path: str, target: Path, *, full: bool) -> str:
    """Take one picture. Returns the answer's status, and a word where the page is too wide."""
    status = go(page, path)
    page.screenshot(path=target, full_page=full)
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return f"{status}{' SCROLLS SIDEWAYS' if wide else ''}"


def go(page: Page, path: str) -> int:
    """Open a page, or with ` {first}` behind its path the first link of its table."""
    path, _, first = path.partition(" ")
    answer = page.goto(ADDRESS + path)
    if first:
        link = page.locator("main table a").first
        answer = page.goto(ADDRESS + str(link.get_attribute("href")))
    return answer.status if answer else 0


@contextmanager
def demo(*, in_trouble: bool) -> Iterator[str]:
    """A running demo; gives the password of its people. Some of PAGES need it in trouble."""
    command = [str(PORTAL), "demo", "--port", PORT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = ""
        until = time.monotonic() + 60
        while "Ctrl-C" not in said and time.monotonic() < until and process.stdout:
            said += process.stdout.readline()
        try:
            password = re.search(r"password (\S+)", said)
            folder = re.search(r"throw-away data in (.+)\.$", said, re.MULTILINE)
            if password is None or folder is None:
                raise SystemExit(f"The demo did not start:\n{said}")
            if in_trouble:
                troubles.make(Path(folder[1]), ADDRESS, free_port())
            yield password[1]
        finally:
            process.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), every_page="--every-page" in sys.argv)
