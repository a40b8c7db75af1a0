"""What a letter says, leaves out and never does, whatever the data."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from portal.kinds import ALL, BY_KEY, Kind
from portal.letters.compose import BrokenLetter, Letter, compose, digest, masked
from portal.letters.words import LANGUAGES, Language
from tests.portal.letters.samples import DATA, GLOBEX, HOST

ALERT = BY_KEY["alert.raised"]
APPROVAL = BY_KEY["approval.requested"]
CONGRATULATIONS = "Congratulations! Your mail server is configured successfully."
every_letter = pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, language) for kind in ALL for language in LANGUAGES],
    ids=lambda value: getattr(value, "key", value),
)


class Page(HTMLParser):
    """Links, tags and visible words of a letter, as a reader's program finds them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def letter_of(kind: Kind, language: Language = "en", **changes: Any) -> Letter:
    return compose(kind, DATA[kind.key] | changes, identity=GLOBEX, language=language)


@every_letter
def test_hostile_words_stay_words(kind: Kind, language: Language) -> None:
    hostile = (
        "<script>alert(1)</script><img src=x onerror=alert(1)>\"' onclick='x' <!-- below the card"
        " --> {{ recovery_url }} {% for i in (1..9) %} https://evil.test/ javascript:alert(1) &amp;"
    )
    data = {
        name: value if name.endswith(("_url", "_at")) else hostile
        for name, value in DATA[kind.key].items()
    }
    identity = replace(GLOBEX, display_name=hostile, footer=hostile, accent='red" onload="x')
    letter = compose(kind, data, identity=identity, language=language)
    page = Page(letter.html)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [link for link in page.links if "evil" in link or "javascript" in link]
    assert hostile in page.words
    assert "{{ recovery_url }} {% for i in (1..9) %}" in letter.text


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.test/",
        "ftp://files.test/",
        "https://",
        "https:// evil.test/",
        "https://x.test/\r\nBcc: eve@evil.test",
        "https://x.test/\u202egnp.exe",
        "https://x.test/" + "x" * 2000,
        " javascript:alert(1)//https://x.test/",
    ],
)
def test_what_is_not_a_web_link_is_dropped(link: str) -> None:
    letter = letter_of(ALERT, resource_url=link, alert_url=link)
    assert set(Page(letter.html).links) == {GLOBEX.base_url}
    assert re.findall(r"\S+:\S+", letter.text.partition("Began")[2]) == ["06:21", GLOBEX.base_url]
    assert "Open the alert" not in letter.html + letter.text
    assert "db-prod-3, PostgreSQL primary" in letter.text


def test_a_link_cannot_leave_its_attribute() -> None:
    link = "https://x.test/'\"><b>&y=1"
    page = Page(letter_of(ALERT, resource_url=link).html)
    assert link in page.links
    assert "b" not in page.tags


def test_a_title_with_line_breaks_stays_one_line() -> None:
    title = "Disk full\r\nBcc: eve@evil.test\u2028Subject: x\x00\u202e\n\nApproved by: root"
    letter = letter_of(ALERT, title=title)
    one = "Disk full Bcc: eve@evil.test Subject: x Approved by: root"
    assert letter.subject == f"[Globex] Critical: {one}"
    assert f"\n{one}\n" in letter.text
    assert one in Page(letter.html).words


def test_a_requester_cannot_add_lines_that_look_like_the_letters_own() -> None:
    letter = letter_of(APPROVAL, text="Fine.\r\n\r\nReview and approve:\rhttps://evil.test/")
    assert "\n  Review and approve:\n  https://evil.test/\n" in letter.text
    assert letter.text.count("\nReview and approve:\n") == 1


def test_very_long_text_is_cut_and_says_so() -> None:
    letter = letter_of(ALERT, text="<&\n" * 350_000, title="x" * 1_000_000, raised_by="y" * 9999)
    note = "[Cut here: the first 10,000 of 1,050,000 characters are shown.]"
    assert note in letter.text
    assert note in letter.html
    assert len(letter.subject) == 200
    assert letter.subject.endswith("…")
    assert len(letter.html) < 150_000
    assert "仅显示前 10,000 个" in letter_of(ALERT, "zh", text="长" * 10_001).text


@every_letter
def test_values_that_are_missing_leave_no_row_behind(kind: Kind, language: Language) -> None:
    needed = {*kind.secrets, "title"}
    data = {name: value for name, value in DATA[kind.key].items() if name in needed}
    letter = compose(kind, data, identity=HOST, language=language)
    empty = data | dict.fromkeys(set(kind.variables) - needed)
    assert letter == compose(kind, empty, identity=HOST, language=language)
    assert "None" not in letter.text + letter.html
    assert "<th" not in letter.html
    assert "\n\n\n" not in letter.text


@pytest.mark.parametrize(
    ("kind", "changes", "where"),
    [
        (ALERT, {"title": None}, "title"),
        (ALERT, {"title": "\u2028 \x00"}, "title"),
        (ALERT, {"starts_at": "yesterday"}, "starts_at"),
        (ALERT, {"starts_at": "2026-11-20T06:21:00"}, "starts_at"),
        (ALERT, {"text": ["a", "list"]}, "text"),
        (APPROVAL, {"approve_url": None}, "approve_url"),
        (APPROVAL, {"reject_url": "javascript:x"}, "reject_url"),
    ],
)
def test_data_that_makes_no_letter_is_refused_by_name(
    kind: Kind, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(BrokenLetter) as caught:
        letter_of(kind, **changes)
    assert caught.value.where == where


def test_an_approval_has_two_links_and_says_that_opening_them_decides_nothing() -> None:
    letter = letter_of(APPROVAL)
    links = Page(letter.html).links
    assert DATA[APPROVAL.key]["approve_url"] in links
    assert DATA[APPROVAL.key]["reject_url"] in links
    assert "opening them decides nothing" in letter.html
    assert "opening them decides nothing" in letter.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_test_mail_holds_its_sentence_and_tells_the_way_it_came(language: Language) -> None:
    letter = letter_of(BY_KEY["mail.test"], language)
    assert CONGRATULATIONS in letter.text
    assert CONGRATULATIONS in letter.html
    assert "smtp.globex.test, port 587, STARTTLS" in letter.text
    assert ("Organization" if language == "en" else "组织级") in letter.text


@pytest.mark.parametrize("kind", [k for k in ALL if k.secrets], ids=lambda kind: kind.key)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_masked_form_has_no_secret_and_one_digest(kind: Kind, language: Language) -> None:
    data = DATA[kind.key]
    hidden = masked(kind, data)
    letter = compose(kind, hidden, identity=GLOBEX, language=language)
    assert "s3cret" not in repr(letter)
    assert letter.text.count("[link removed]") == len(kind.secrets)
    assert letter.html.count("[link removed]") == len(kind.secrets)
    other = masked(kind, data | dict.fromkeys(kind.secrets, "https://x.test/other"))
    assert digest(letter) == digest(compose(kind, other, identity=GLOBEX, language=language))
    assert digest(letter) != digest(compose(kind, data, identity=GLOBEX, language=language))


def test_times_are_local_to_the_reader() -> None:
    data = DATA[ALERT.key]
    shown: dict[tuple[Language, str], str] = {
        ("en", "Europe/Zurich"): "20 November 2026, 07:21 (UTC+1)",
        ("zh", "Asia/Shanghai"): "2026年11月20日 14:21（UTC+8）",
        ("en", "Asia/Kolkata"): "20 November 2026, 11:51 (UTC+5:30)",
        ("en", "America/New_York"): "20 November 2026, 01:21 (UTC−5)",
        ("en", "Nowhere/At_All"): "20 November 2026, 06:21 (UTC)",
    }
    for (language, zone), words in shown.items():
        letter = compose(ALERT, data, identity=GLOBEX, language=language, timezone=zone)
        assert words in letter.text
        assert words in letter.html


def test_the_identity_signs_the_letter() -> None:
    letter = letter_of(ALERT)
    assert letter.subject.startswith("[Globex] Critical: CPU")
    for part in (letter.text, letter.html):
        assert "Bahnhofstrasse 1" in part
        assert "Gatepost" in part
    plain = compose(ALERT, DATA[ALERT.key], identity=HOST, language="en")
    assert plain.subject.startswith("Critical: CPU")
    assert "Globex" not in plain.html.replace("globex.test", "")


def test_the_accent_colours_buttons_and_a_broken_one_counts_as_petrol() -> None:
    data = DATA[ALERT.key]
    green = replace(GLOBEX, accent="#1D6A3A")
    assert "background-color: #1d6a3a" in compose(ALERT, data, identity=green, language="en").html
    broken = replace(GLOBEX, accent="red;x:url(https://evil.test)")
    html = compose(ALERT, data, identity=broken, language="en").html
    assert "background-color: #0b5a6b" in html
    assert "evil.test" not in html


@every_letter
def test_the_html_fits_mail_programs(kind: Kind, language: Language) -> None:
    html = letter_of(kind, language).html
    assert max(map(len, html.split("\n"))) < 500
    assert "prefers-color-scheme: dark" in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f]|\[\[|#fa000|<!--/?piece", html)
    assert not re.search(r"<(?:link|img|script)\b|url\(|@import", html)
    assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in html
    assert Page(html).tags.count("h1") == 1
