"""axe over every page of a running demo, in both themes (WCAG 2.2 AA)."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tools import pictures

_RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # What passes is not described element by element, which takes half of the time.
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def password() -> Iterator[str]:
    with pictures.demo(in_trouble=True) as password:
        yield password


@pytest.mark.parametrize("who", list(pictures.PAGES), ids=lambda who: who or "nobody")
def test_no_page_has_a_fault_that_axe_finds(
    password: str, browser: Browser, who: str | None
) -> None:
    page = pictures.signed_in(browser, who, password, "light", pictures.WIDE)
    found = [
        f"{path} ({theme}): {fault}"
        for path in pictures.PAGES[who]
        for theme, fault in faults_of(page, path)
    ]
    assert not found, "\n".join(found)


def faults_of(page: Page, path: str) -> Iterator[tuple[str, str]]:
    pictures.go(page, path)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for fault in Axe().run(page, options=_RULES).response["violations"]:
            nodes = [" ".join(node["target"]) for node in fault["nodes"][:3]]
            yield theme, f"{fault['id']}: {fault['help']} at {nodes}"
