"""What people and systems may type, by table, hostile input included."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.validation import (
    FieldError,
    Invalid,
    address_key,
    display_name,
    email_address,
    one_line,
    plain_text,
    slug,
    web_link,
)

BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1b"]
TURNS = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]


def refusal(check: Callable[[], object]) -> FieldError:
    with pytest.raises(Invalid) as refused:
        check()
    (error,) = refused.value.errors
    assert "\n" not in error.message
    return error


def line(value: str) -> str:
    return one_line("title", value, longest=20)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("  Disk full ", "Disk full"),
        ("磁盘已满", "磁盘已满"),
        ("👩‍💻 ok", "👩‍💻 ok"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_a_line_is_trimmed_and_otherwise_kept(typed: str, meant: str) -> None:
    assert line(typed) == meant


@pytest.mark.parametrize(
    "unseen",
    ["\u00ad\u200b", "\ufeff", "\u3164", "\u2800", "\u200d \ufe0f", "\u034f", "\U000e0061"],
)
def test_a_line_of_which_nothing_can_be_seen_is_empty(unseen: str) -> None:
    assert line(unseen) == ""
    assert line(f"a{unseen}") == f"a{unseen}"


@pytest.mark.parametrize("hidden", [*BREAKS, *TURNS, "\ud800", "\x7f", "\t"])
def test_a_line_with_a_break_a_control_or_a_turn_is_refused(hidden: str) -> None:
    error = refusal(lambda: line(f"a{hidden}b"))
    assert error.field == "title"
    assert f"U+{ord(hidden[0]):04X}" in error.message


def test_a_long_line_is_refused_with_its_length() -> None:
    assert line("x" * 20) == "x" * 20
    assert "20 characters or fewer; it has 21" in refusal(lambda: line("x" * 21)).message


@pytest.mark.parametrize("name", ["Ann Ames", "O'Neil, Ann", 'Ann "the" Ames', "Анна", "安"])
def test_names_of_people_are_accepted(name: str) -> None:
    assert display_name("name", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "ceo@bank.test",
        "CEO <ceo@bank.test>",
        "Ann >",
        "ceo\uff20bank.test",
        "ceo\ufe6bbank.test",
        "\uff1cceo\uff1e",
        "Ann\r\nBcc: all@acme.test",
        "Ann\u2028Bcc: all@acme.test",
        "\u202etset.emca@nna",
        "x" * 201,
    ],
)
def test_a_name_that_could_pass_for_an_address_or_a_header_is_refused(name: str) -> None:
    assert refusal(lambda: display_name("name", name)).field == "name"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("ann@example.com", "ann@example.com"),
        (" Ann@EXAMPLE.Com ", "Ann@example.com"),
        ("ann+tag@acme.test", "ann+tag@acme.test"),
        ("a#b&c@acme.test", "a#b&c@acme.test"),
        ("ann@mail.local", "ann@mail.local"),
        ("ann@relay", "ann@relay"),
        ("ann@x.localhost", "ann@x.localhost"),
        ("ann@bücher.example", "ann@bücher.example"),
        ("安@例子.test", "安@例子.test"),
    ],
)
def test_addresses_are_accepted_in_their_normal_form(typed: str, normal: str) -> None:
    assert email_address("to", typed) == normal
    assert email_address("to", normal) == normal


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "ann",
        "@acme.test",
        "ann@",
        "ann@@acme.test",
        "ann@acme..test",
        "ann@.acme.test",
        "ann@acme.test.",
        "ann@-acme.test",
        "ann@acme_x.test",
        "ann@[127.0.0.1]",
        "ann acme@acme.test",
        "ann@acme.test,bob@acme.test",
        "ann@acme.test bob@acme.test",
        "Ann <ann@acme.test>",
        "<ann@acme.test>",
        '"ann"@acme.test',
        ".ann@acme.test",
        "ann..x@acme.test",
        "ann@acme.test\r\nBcc: all@acme.test",
        "ann\n@acme.test",
        "ann@acme\u2028.test",
        "ann@acme.test\0",
        "=?utf-8?q?ann=0ABcc:x?=@acme.test",
        "ann@acme.test>",
        "ann@" + "x" * 64 + ".test",
        "a@" + "x." * 130 + "test",
        "\ud800@acme.test",
    ],
)
def test_what_is_no_single_address_is_refused(typed: str) -> None:
    assert refusal(lambda: email_address("to", typed)).field == "to"


@given(st.text(max_size=300))
def test_an_accepted_address_never_holds_what_a_header_could_not(text: str) -> None:
    try:
        address = email_address("to", text)
    except Invalid:
        return
    assert address == "".join(address.split())
    assert not set(address) & set('\r\n\0<>,;:"()')
    assert address.count("@") == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://acme.test",
        "http://relay:8080/x?a=b#c",
        "https://[::1]/x",
        "https://例子.test/路",
    ],
)
def test_web_links_are_accepted(link: str) -> None:
    assert web_link("url", f" {link} ") == link


@pytest.mark.parametrize(
    "link",
    [
        "",
        "acme.test",
        "//acme.test",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "mailto:ann@acme.test",
        "https:",
        "https://",
        "https:///x",
        "http:acme.test",
        "https://[::1",
        "https://acme.test/a b",
        "https://acme.test/\nx",
        "https://acme.test/\u2028x",
        "https://" + "x" * 2000,
    ],
)
def test_what_is_no_web_link_is_refused(link: str) -> None:
    assert refusal(lambda: web_link("url", link)).field == "url"


@pytest.mark.parametrize("text", ["a", "acme", "acme-europe", "0", "a" * 63, " acme "])
def test_short_names_are_accepted(text: str) -> None:
    assert slug("slug", text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "-a",
        "a-",
        "Acme",
        "a_b",
        "a.b",
        "a/b",
        "..",
        "~a",
        "é",
        "a b",
        "a\nb",
        "a" * 64,
        "٣",
    ],
)
def test_what_a_path_cannot_spell_is_refused(text: str) -> None:
    assert refusal(lambda: slug("slug", text)).field == "slug"


def test_text_keeps_its_lines_and_tabs() -> None:
    assert plain_text("text", "\na\r\nb\rc\n\td\n\n", longest=100) == "a\nb\nc\n\td"


@pytest.mark.parametrize(
    "hidden", ["\0", "\x0b", "\x0c", "\x1b", "\x85", "\u2028", *TURNS, "\udc00"]
)
def test_text_with_a_control_character_is_refused(hidden: str) -> None:
    error = refusal(lambda: plain_text("text", f"a{hidden}b", longest=100))
    assert f"U+{ord(hidden):04X}" in error.message


def test_long_text_is_refused() -> None:
    assert refusal(lambda: plain_text("text", "x" * 101, longest=100)).field == "text"


@given(st.text())
def test_text_that_was_accepted_is_accepted_again_unchanged(text: str) -> None:
    try:
        once = plain_text("text", text, longest=1000)
    except Invalid:
        return
    assert plain_text("text", once, longest=1000) == once


def test_a_refusal_lists_every_field() -> None:
    refused = Invalid([FieldError("a", "One."), FieldError("b", "Two.")])
    assert str(refused) == "a: One.; b: Two."
    assert [error.field for error in refused.errors] == ["a", "b"]


@pytest.mark.parametrize(
    ("typed", "cure"),
    [
        ("a" * 65 + "@acme.test", "at most 64 bytes before the @; this one has 65"),
        ("ß" * 33 + "@acme.test", "at most 64 bytes before the @; this one has 66"),
        ("abcdefgh@" + ".".join(["ü" * 40] * 3) + ".test", "too long"),
    ],
)
def test_an_address_too_long_for_mail_is_refused_by_its_octets(typed: str, cure: str) -> None:
    error = refusal(lambda: email_address("to", typed))
    assert error.field == "to" and cure in error.message
    assert email_address("to", "a" * 64 + "@acme.test")
    assert email_address("to", "ß" * 32 + "@acme.test")


def test_addresses_are_the_same_by_lower_case_alone() -> None:
    assert address_key(" Ann@Acme.Test ") == address_key("ann@acme.test")
    assert address_key("straße@acme.test") != address_key("strasse@acme.test")
    assert address_key("STRASSE@acme.test") != address_key("straße@acme.test")
