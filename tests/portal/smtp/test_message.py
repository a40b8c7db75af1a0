import re
from datetime import timedelta, timezone

import pytest

from portal.smtp.body import InlineImage
from portal.smtp.message import UnsafeMessage, make_message_id
from tests.portal.smtp.mails import (
    DATE,
    HEADERS,
    MIME,
    build,
    content_of,
    decoded,
    lines_of,
    old_parsed,
    parsed,
)


def test_a_mail_reads_back_as_its_parts() -> None:
    message = parsed(build(reply_to="help@acme.example", references=("<1@a>", "<2@a>")))

    assert message["From"] == "Acme Alerts <alerts@acme.example>"
    assert message["To"] == "ann@example.com"
    assert message["Reply-To"] == "help@acme.example"
    assert message["Subject"] == "Disk almost full"
    assert message["Date"].datetime == DATE
    assert message["Message-ID"] == "<01a1@acme.example>"
    assert message["References"] == "<1@a> <2@a>"
    assert message["In-Reply-To"] == "<2@a>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert plain.get_content_type() == "text/plain"
    assert content_of(plain) == "The disk is almost full.\n"
    assert html.get_content_type() == "text/html"
    assert content_of(html) == "<p>The disk is almost full.</p>\n"
    assert message.defects == plain.defects == html.defects == []


def test_a_mail_without_html_is_one_text_part() -> None:
    message = parsed(build(html=None))

    assert message.get_content_type() == "text/plain"
    assert content_of(message) == "The disk is almost full.\n"
    assert message.keys() == [*HEADERS, *MIME, "Content-Transfer-Encoding"]


def test_the_same_parts_make_the_same_bytes() -> None:
    assert build() == build()


def test_list_headers_and_our_own_are_carried() -> None:
    extra = {
        "List-Unsubscribe": "<https://portal.example/u/" + "a" * 90 + ">, <mailto:u@acme.example>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "X-Gatepost-Organization": "acme",
    }
    built = build(extra_headers=extra)

    message = old_parsed(built)
    assert message.keys() == [*HEADERS, *extra, *MIME]
    for name, value in extra.items():
        assert message[name].replace("\r\n", "") == value


SUBJECTS = [
    "Disk almost full",
    "a",
    "",
    "[Acme] Disk /var at 91 %: node-7.example.com",
    "Bcc: eve@evil.example",
    "what =?",
    "=?utf-8?q?hello?=",
    "=?utf-8?b?aGVsbG8=?=",
    "=?utf-8?q?one?= =?utf-8?q?two?=",
    "=?nonsense?q?hello?=",
    "=?utf-8?x?hello?=",
    "=?utf-8?b?!!!!?=",
    "two  blanks",
    "磁盘空间不足",
    "【阿克梅】磁盘空间不足：node-7，使用率 91 %",
    "磁盘空间不足" * 60,
    "🚨",
    "🚨" * 100,
    "👩‍👩‍👧‍👦 family of four",
    "naïve café",
    "x" * 70,
    "x" * 500,
    "x" * 3000,
    "word " * 100 + "end",
    "word " * 12 + "x" * 200,
    "ключ: значение",
    "مرحبا بالعالم",
    "'; DROP TABLE deliveries; --",
    "<script>alert(1)</script>",
    "\\r\\nBcc: eve@evil.example",
    "%0d%0aBcc:%20eve@evil.example",
    "{{ subject }}",
    ".",
    "From here",
    "\ufeffbyte order mark",
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_read_back_to_the_letter(subject: str) -> None:
    built = build(subject=subject)

    assert parsed(built)["Subject"] == subject
    assert decoded(old_parsed(built)["Subject"]) == subject
    assert old_parsed(built).keys() == [*HEADERS, *MIME]
    assert max(len(line) for line in lines_of(built)) <= 78


def test_outer_blanks_of_a_subject_are_left_out() -> None:
    assert parsed(build(subject="  Disk full "))["Subject"] == "Disk full"


BODIES = [
    "",
    "\n",
    "plain\n",
    "no line break at the end",
    "one\r\ntwo\rthree\n",
    ".\n..\n.leading dot\n\n.\n",
    "From the start\n>From quoted\n",
    "trailing blanks   \ntrailing tab\t\n",
    "= equals =3D =\n",
    "x" * 5000,
    ("x" * 2700 + "\n") * 3,
    "中文" * 3000,
    "中文邮件正文\n" * 50,
    "🚨 mixed with plain ASCII text that goes on for a while\n" * 10,
    "\u2028 separators \u2029 are text here\n",
    "--=_boundary--\n",
    "--=_6f3\n" * 5,
    "Bcc: eve@evil.example\n\nContent-Type: text/html\n\n<b>x</b>\n",
    "\n\n\nblank lines first",
    "tab\tinside\n",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("alternative", [True, False])
def test_a_body_is_read_back_to_the_letter(body: str, alternative: bool) -> None:
    built = build(text=body, html=body if alternative else None)

    meant = body.replace("\r\n", "\n").replace("\r", "\n")
    meant = meant if meant.endswith("\n") else meant + "\n"
    message = parsed(built)
    parts = list(message.iter_parts()) if alternative else [message]
    assert [content_of(part) for part in parts] == [meant] * len(parts)
    assert max(len(line) for line in lines_of(built)) <= 78
    assert b"." not in lines_of(built)
    assert built.isascii()


@pytest.mark.parametrize("hidden", ["\x00", "\x07", "\x0b", "\x0c", "\x1b[31m", "\x7f", "\ud800"])
@pytest.mark.parametrize("part", ["text", "html"])
def test_a_control_character_in_a_body_is_refused(part: str, hidden: str) -> None:
    with pytest.raises(UnsafeMessage):
        build(**{part: f"a{hidden}b"})


def test_the_parts_boundary_can_occur_in_no_part() -> None:
    boundary = parsed(build()).get_boundary()
    assert boundary

    message = parsed(build(text=f"--{boundary}--\n", html=f"\n--{boundary}\n"))

    assert [content_of(part) for part in message.iter_parts()] == [
        f"--{boundary}--\n",
        f"\n--{boundary}\n",
    ]


@pytest.mark.parametrize(
    "message_id",
    [
        "",
        "a@b",
        "<a>",
        "<a@b",
        "<a@b> <c@d>",
        "<a@b>\r\nBcc: eve@evil.example",
        "<a b@c>",
        "<a@b>\n",
        "<ä@b>",
        "<a@b@c>",
        "<=?utf-8?q?=0A?=@b>",
    ],
)
def test_an_odd_message_id_is_refused(message_id: str) -> None:
    with pytest.raises(UnsafeMessage):
        build(message_id=message_id)
    with pytest.raises(UnsafeMessage):
        build(references=("<1@a>", message_id))


def test_an_image_lies_with_the_html_that_shows_it() -> None:
    image = InlineImage("logo.1f@gatepost", "png", bytes(range(256)) * 20)
    mail = parsed(build(html='<img src="cid:logo.1f@gatepost">\n', images=(image,)))

    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    related = mail.get_payload(1)
    shown = list(related.iter_parts())[1]
    assert related.get_param("type") == "text/html"
    assert shown["Content-ID"] == "<logo.1f@gatepost>"
    assert shown.get_content_disposition() == "inline"
    assert shown.get_content() == image.content


@pytest.mark.parametrize(
    "image",
    [
        InlineImage("logo@gatepost", "svg+xml", b"x"),
        InlineImage("logo>\r\nTo: <eve@evil.example", "png", b"x"),
        InlineImage("logo", "png", b"x"),
    ],
)
def test_an_image_of_another_type_or_name_is_refused(image: InlineImage) -> None:
    with pytest.raises(UnsafeMessage):
        build(images=(image,))


def test_a_letter_without_html_carries_no_image() -> None:
    mail = parsed(build(html=None, images=(InlineImage("a@b", "png", b"x"),)))
    assert mail.get_content_type() == "text/plain"


def test_many_references_are_folded() -> None:
    references = tuple(f"<{number:032x}@acme.example>" for number in range(40))
    built = build(references=references)

    assert parsed(built)["References"].split() == list(references)
    assert max(len(line) for line in lines_of(built)) <= 78


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UnsafeMessage):
        build(date=DATE.replace(tzinfo=None))


def test_a_time_keeps_its_zone() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert b"Date: Sat, 21 Nov 2026 17:30:00 +0800\r\n" in build(date=DATE.astimezone(shanghai))


@pytest.mark.parametrize(
    ("from_address", "base_host", "right"),
    [
        ("alerts@acme.example", "portal.example", "acme.example"),
        ("alerts@Bücher.example", "portal.example", "xn--bcher-kva.example"),
        (None, "portal.example", "portal.example"),
        ("", "127.0.0.1", "127.0.0.1"),
        (None, "::1", "[IPv6:::1]"),
    ],
)
def test_a_message_id_lies_in_the_domain_of_from(
    from_address: str | None, base_host: str, right: str
) -> None:
    message_id = make_message_id(from_address, base_host)

    assert re.fullmatch(rf"<[0-9a-f]{{32}}@{re.escape(right)}>", message_id)
    assert parsed(build(message_id=message_id))["Message-ID"] == message_id


def test_every_message_id_is_another() -> None:
    assert make_message_id("a@b.example", "x") != make_message_id("a@b.example", "x")
