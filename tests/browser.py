"""A page object: opens pages as a person would, and checks every page it sees.

    visit.sign_in(cast.alice)
    page = visit.open("/organizations/acme/mail-settings")
    page = page.submit({"Title prefix": "[Acme]"}, button="Save")
    assert "Saved" in page.text

Fields and buttons are named by their label or by their name. A page that breaks a rule of
tests/page_rules.py fails the test that opened it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

from flask import Flask
from justhtml import Element
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.cast import Person
from tests.page_form import PageForm, find_form
from tests.page_rules import broken, parse, text_of

SIGN_IN = "/sign-in"
_LONGEST_CHAIN = 5


class Browser:
    """A browser without scripts, with cookies of its own."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()

    def sign_in(self, person: Person) -> "Page":
        """Sign in by the form, and stand on the page that follows."""
        page = self.open(SIGN_IN).submit({"email": person.email, "password": person.password})
        assert urlsplit(page.path).path != SIGN_IN, f"{person.email} could not sign in:\n{page}"
        return page

    def open(self, path: str, *, status: int = 200) -> "Page":
        """The page at a path, after redirects. Fails where its status is another."""
        return self._arrive(self.client.get(path), path, status)

    def send(self, path: str, data: MultiDict[str, str], *, status: int = 200) -> "Page":
        """Post a form. Success is a redirect with 303; a page with errors has status 422."""
        return self._arrive(self.client.post(path, data=data), path, status)

    def _arrive(self, response: TestResponse, path: str, status: int) -> "Page":
        for _ in range(_LONGEST_CHAIN):
            if response.status_code not in (301, 302, 303, 307, 308):
                break
            is_answer_to_post = response.request.method == "POST"
            assert not is_answer_to_post or response.status_code == 303, (
                f"POST {path} redirects with {response.status_code}; only 303 makes it a GET"
            )
            path = _on_this_site(urljoin(path, response.location))
            response = self.client.get(path)
        return self._checked(response, path, status)

    def _checked(self, response: TestResponse, path: str, status: int) -> "Page":
        where = f"{response.request.method} {path}"
        assert response.status_code == status, (
            f"{where} answered {response.status_code}, not {status}: {_readable(response)}"
        )
        assert response.mimetype == "text/html", f"{where} is {response.mimetype}, not a page"
        document = parse(response)
        problems = broken(self.app, response, document)
        assert not problems, f"{where}:\n" + "\n".join(f"- {problem}" for problem in problems)
        return Page(self, path, response, document.root)


@dataclass(frozen=True)
class Page:
    """One page as it came, already checked."""

    browser: Browser
    path: str
    response: TestResponse
    root: Element

    def __str__(self) -> str:
        return f"{self.path} ({self.response.status_code}): {self.heading}\n{self.text[:2000]}"

    @property
    def heading(self) -> str:
        return text_of(self.root.query("h1")[0])

    @property
    def title(self) -> str:
        return text_of(self.root.query("title")[0])

    @property
    def text(self) -> str:
        """All text of the page's main part, on one line."""
        return text_of(self.root.query("main")[0])

    @property
    def errors(self) -> list[str]:
        """What the error summary says, one entry a field."""
        return [text_of(entry) for entry in self.root.query(".gp-error-summary li")]

    def form(self, button: str | None = None) -> PageForm:
        """The form with this button, or the only form of the page's main part that posts."""
        return find_form(self.root, button, where=str(self))

    def submit(
        self,
        values: Mapping[str, str | bool | list[str]] | None = None,
        *,
        button: str | None = None,
        status: int = 200,
    ) -> "Page":
        """Fill in a form, press its button, and arrive at the next page."""
        form = self.form(button)
        form.fill(values or {})
        path = urljoin(self.path, form.action)
        if form.method == "get":
            query = urlencode(list(form.data.items(multi=True)))
            return self.browser.open(f"{path}?{query}", status=status)
        return self.browser.send(path, form.data, status=status)

    def follow(self, link: str, *, status: int = 200) -> "Page":
        """Open the link with this text."""
        found = [a for a in self.root.query("a[href]") if link in (text_of(a), a.attrs["href"])]
        known = sorted({text_of(a) for a in self.root.query("a[href]")})
        assert found, f"no link {link!r} on {self.path}; there are {known}"
        target = urljoin(self.path, found[0].attrs["href"] or "")
        return self.browser.open(_on_this_site(target), status=status)


def _readable(response: TestResponse) -> str:
    """What a page says, or the raw answer where it is none. A traceback stands in the log below."""
    if response.mimetype != "text/html":
        return response.text[:2000]
    return " ".join(text_of(main) for main in parse(response).query("main"))[:2000]


def _on_this_site(address: str) -> str:
    parts = urlsplit(address)
    assert parts.netloc in ("", "localhost", "127.0.0.1:8000"), f"{address} leaves the portal"
    return parts._replace(scheme="", netloc="", fragment="").geturl()
