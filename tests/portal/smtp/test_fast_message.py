"""Both ways to build a mail make the same mail."""

import email.message
import re
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.kinds import ALL
from portal.letters.compose import compose
from portal.letters.words import Language
from portal.smtp.body import InlineImage
from portal.smtp.fast_message import MessageTemplate, Parts
from portal.smtp.message import UnsafeMessage, build_message
from portal.smtp.wire import content_bytes
from tests.portal.letters.samples import DATA, GLOBEX, ZONE
from tests.portal.smtp.hostile_headers import BODIES
from tests.portal.smtp.mails import DATE, build, content_of, old_parsed, parsed
from tests.portal.smtp.templates import FIRST, PARTS

SECOND: dict[str, Any] = {
    "recipient": "Bob.Lee+ops@Sub.Example.COM",
    "message_id": "<01a2@acme.example>",
    "date": DATE + timedelta(seconds=1),
}
TEXTS = [
    "",
    "plain\n",
    "no line break at the end",
    "\u4e2d\u6587\u90ae\u4ef6\u6b63\u6587\n" * 300,
    "\U0001f6a8 mixed with plain ASCII text\n" * 20,
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd\n",
    "x" * 1200,
    "x" * 998 + "\n" + "y" * 999,
    "\u957f" * 1200,
    ".\n..\n.leading dot\n\n.\n",
    "trailing blanks   \ntrailing tab\t\n",
    "one\r\ntwo\rthree\nfour\r\r\n",
    "\r\nTo: eve@evil.example\r\nDate: x\r\nMessage-ID: <a@b>\r\n\r\n",
    "\n\n\nTo: eve@evil.example\n",
    *BODIES,
]
# Bytes that would be fields, dots and ends of a mail if they stood in it as they are.
IMAGES = [
    InlineImage("logo.0a@gatepost", "png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
    InlineImage("logo.0b@gatepost", "jpeg", b"\r\n.\r\nTo: eve@evil.example\r\n" * 200),
]
SUBJECTS = ["", "a", "x" * 1500, "\u4e2d\u6587" * 200, "\U0001f6a8" * 90, "To: eve@evil.example"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("alternative", [True, False])
def test_both_ways_read_back_alike_for_every_text(text: str, alternative: bool) -> None:
    _both_ways_alike(replace(PARTS, text=text, html=text if alternative else None))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_both_ways_read_back_alike_for_every_subject_and_name(subject: str) -> None:
    _both_ways_alike(replace(PARTS, subject=subject, from_name=subject[:200]))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: str(kind.key))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_ways_read_back_alike_for_every_shipped_letter(kind: Any, language: Language) -> None:
    data = DATA[kind.key]
    letter = compose(kind, data, identity=GLOBEX, language=language, timezone=ZONE)

    _both_ways_alike(
        replace(
            PARTS,
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            reply_to="help@acme.example",
            references=tuple(f"<{number:032x}@acme.example>" for number in range(5)),
        )
    )


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("images", [IMAGES[:1], IMAGES])
def test_both_ways_read_back_alike_with_images(text: str, images: list[InlineImage]) -> None:
    _both_ways_alike(replace(PARTS, text=text, html=text, images=tuple(images)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(text=st.text(max_size=300), subject=st.text(max_size=80), name=st.text(max_size=60))
def test_both_ways_read_back_alike_or_refuse_whatever_is_written(
    text: str, subject: str, name: str
) -> None:
    parts = replace(PARTS, text=text, html=text, subject=subject, from_name=name)
    try:
        _slow(parts, FIRST)
    except UnsafeMessage:
        with pytest.raises(UnsafeMessage):
            MessageTemplate.of(parts, **FIRST)
    else:
        _both_ways_alike(parts)


def test_the_first_mail_of_a_template_is_the_slow_one_byte_by_byte() -> None:
    template = MessageTemplate.of(PARTS, **FIRST)

    assert template.fill(**FIRST) == content_bytes(_slow(PARTS, FIRST))


def test_a_template_can_begin_with_a_recipient_that_it_does_not_fill_in() -> None:
    first = FIRST | {"recipient": "\u7528\u6237@example.com"}
    template = MessageTemplate.of(PARTS, **first)

    assert template.fill(**first) is None
    assert template.fill(**FIRST) == content_bytes(_slow(PARTS, FIRST))


def test_equal_times_of_two_zones_are_written_each_in_its_own() -> None:
    template = MessageTemplate.of(PARTS, **FIRST)
    shanghai = template.fill(**(FIRST | {"date": DATE.astimezone(timezone(timedelta(hours=8)))}))

    assert shanghai and b"\r\nDate: Sat, 21 Nov 2026 17:30:00 +0800\r\n" in shanghai
    assert b"\r\nDate: Sat, 21 Nov 2026 09:30:00 +0000\r\n" in (template.fill(**FIRST) or b"")


def test_a_time_without_a_zone_is_left_to_the_slow_path_that_refuses_it() -> None:
    naive = FIRST | {"date": DATE.replace(tzinfo=None)}

    assert MessageTemplate.of(PARTS, **FIRST).fill(**naive) is None
    with pytest.raises(UnsafeMessage):
        MessageTemplate.of(PARTS, **naive)


def test_a_display_name_that_looks_like_a_field_is_not_cut() -> None:
    name = "To: a Date: b Message-ID: <c@d> " * 5
    _both_ways_alike(replace(PARTS, from_name=name, subject=name))


def test_extra_headers_stay_with_the_slow_path() -> None:
    assert b"List-Unsubscribe" in build(extra_headers={"List-Unsubscribe": "<https://a.example/u>"})
    assert "extra_headers" not in Parts.__dataclass_fields__


def _slow(parts: Parts, mail: dict[str, Any]) -> bytes:
    return build_message(
        to_address=mail["recipient"],
        message_id=mail["message_id"],
        date=mail["date"],
        **vars(parts),
    )


def _both_ways_alike(parts: Parts) -> None:
    filled = MessageTemplate.of(parts, **FIRST).fill(**SECOND)
    assert filled is not None
    slow = content_bytes(_slow(parts, SECOND))
    assert _read(filled) == _read(slow)
    assert re.sub(rb"=_[0-9a-f]{32}", b"", filled) == re.sub(rb"=_[0-9a-f]{32}", b"", slow)
    assert filled.count(b"\r") == filled.count(b"\n") == filled.count(b"\r\n")
    assert b"\r\n.\r\n" not in filled and not filled.startswith(b".")
    assert max(len(line) for line in filled.split(b"\r\n")) <= 998


def _read(wire: bytes) -> tuple[Any, ...]:
    """Headers, structure and contents as a reader has them after the server took the dots off."""
    mail = wire.replace(b"\r\n..", b"\r\n.")
    message: email.message.EmailMessage = parsed(mail)
    boundary = str(message.get_boundary())
    headers = [(name, str(value).replace(boundary, "")) for name, value in message.items()]
    assert old_parsed(mail).defects == []
    return headers, [_read_part(part) for part in message.walk()]


def _read_part(part: Any) -> tuple[str, Any]:
    kind = part.get_content_type()
    if part.is_multipart():
        return kind, len(list(part.iter_parts()))
    return kind, part.get_content() if kind.startswith("image/") else content_of(part)
