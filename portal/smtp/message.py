"""A mail as bytes (MIME), built from its parts, parsed again and compared with the intent."""

import email
import email.policy
import re
from collections.abc import Mapping
from datetime import datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import format_datetime, getaddresses

from portal import clock
from portal.smtp import body
from portal.smtp.body import InlineImage
from portal.smtp.headers import (
    UnsafeMessage,
    addr_spec,
    clean,
    folded,
    mailbox,
    unstructured,
)

__all__ = ["UnsafeMessage", "build_message", "make_message_id", "message_id_domain"]


# In angle brackets; of the wider grammar of RFC 5322 only what is never folded or quoted.
MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9._:\[\]-]{1,255}>")


def make_message_id(from_address: str | None, base_host: str) -> str:
    """A Message-ID in angle brackets, in the domain of From, else at the portal's own host.

    Made once when a mail is enqueued; every try of that mail carries the same one.
    """
    return f"<{clock.new_id().hex}@{message_id_domain(from_address, base_host)}>"


def message_id_domain(from_address: str | None, base_host: str) -> str:
    """What stands right of the @ in a Message-ID."""
    if from_address:
        return addr_spec("Message-ID", from_address).rpartition("@")[2]
    return f"[IPv6:{base_host}]" if ":" in base_host else base_host


def build_message(
    *,
    message_id: str,
    date: datetime,
    from_name: str,
    from_address: str,
    to_address: str,
    subject: str,
    text: str,
    html: str | None,
    reply_to: str | None = None,
    references: tuple[str, ...] = (),
    images: tuple[InlineImage, ...] = (),
    extra_headers: Mapping[str, str] | None = None,
) -> bytes:
    """The whole mail with CRLF line ends, none longer than 998 octets (RFC 5322, 2.1.1).

    `text` and `html` become UTF-8 parts in quoted-printable or base64; both together a
    multipart/alternative; `images` are those that the HTML shows by cid: links.
    `extra_headers`: List-Unsubscribe, List-Unsubscribe-Post, X-Gatepost-*.
    Auto-Submitted: auto-generated is always set. Raises UnsafeMessage where anything could be
    read as another recipient, header or line than was meant.
    """
    fields = [
        mailbox("From", from_name, from_address),
        mailbox("To", "", to_address),
        unstructured("Subject", subject),
        date_field(date),
        _ids("Message-ID", (message_id,)),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    if reply_to:
        fields.append(mailbox("Reply-To", "", reply_to))
    if references:
        fields.append(_ids("In-Reply-To", references[-1:]))
        fields.append(_ids("References", references))
    fields += _extra(extra_headers or {})
    content = body.body(text, html, images, message_id=message_id)
    built = b"".join([*fields, b"MIME-Version: 1.0\r\n", content])
    meant = body.meant(text, html, images)
    parsed = _compare(built, names=[_name(field) for field in fields], meant=meant)
    _compare_addresses(
        parsed, from_name=from_name, from_address=from_address, to=to_address, reply_to=reply_to
    )
    _compare_subject(parsed, subject)
    return built


def date_field(date: datetime) -> bytes:
    """The Date field with its line end. Raises UnsafeMessage for a time without a zone."""
    if date.tzinfo is None:
        raise UnsafeMessage("Date", "the time has no time zone")
    return f"Date: {format_datetime(date)}\r\n".encode()


_GATEPOST = re.compile(r"X-Gatepost(?:-[A-Za-z0-9]{1,30}){1,4}", re.IGNORECASE)
_LINK = re.compile(r"<(?:https?|mailto):[!-;=?-~]{1,900}>")
_LONGEST_LINE = 998


def _ids(name: str, ids: tuple[str, ...]) -> bytes:
    for value in ids:
        if not MESSAGE_ID.fullmatch(value) or "=?" in value:
            raise UnsafeMessage(name, "this is not a Message-ID in angle brackets")
    return folded(name, ids)


def _extra(headers: Mapping[str, str]) -> list[bytes]:
    if len({name.lower() for name in headers}) < len(headers):
        raise UnsafeMessage("headers", "a header is given twice")
    return [_extra_field(name, value) for name, value in headers.items()]


def _extra_field(name: str, value: str) -> bytes:
    if name.lower() == "list-unsubscribe":
        links = value.split(", ")
        if "=?" in value or not all(_LINK.fullmatch(link) for link in links):
            raise UnsafeMessage(name, "this is not a list of links in angle brackets")
        return folded(name, [*(f"{link}," for link in links[:-1]), links[-1]])
    if name.lower() == "list-unsubscribe-post":
        if value != "List-Unsubscribe=One-Click":
            raise UnsafeMessage(name, "only List-Unsubscribe=One-Click is known (RFC 8058)")
        return folded(name, [value])
    if _GATEPOST.fullmatch(name):
        return unstructured(name, value)
    raise UnsafeMessage("headers", "this header is not among those that a mail may carry")


def _name(field: bytes) -> str:
    return field.partition(b":")[0].decode()


def _compare(built: bytes, *, names: list[str], meant: body.Part) -> Message:
    """The mail parsed. Raises UnsafeMessage unless structure, header set and contents are those
    that were meant."""
    lines = built.split(b"\r\n")
    ends = len(lines) - 1
    bare = built.count(b"\r") != ends or built.count(b"\n") != ends
    if bare or len(max(lines, key=len)) > _LONGEST_LINE:
        raise UnsafeMessage("message", "a line is too long or holds a bare line break")
    parsed = email.message_from_bytes(built, policy=email.policy.compat32)
    mime = ["MIME-Version", "Content-Type"]
    if meant[0] == "text/plain":
        mime.append("Content-Transfer-Encoding")
    if parsed.keys() != [*names, *mime] or parsed.defects:
        raise UnsafeMessage("message", "its headers read back otherwise than they were meant")
    if body.found(parsed) != meant:
        raise UnsafeMessage("message", "its parts read back otherwise than they were meant")
    return parsed


def _compare_addresses(
    parsed: Message, *, from_name: str, from_address: str, to: str, reply_to: str | None
) -> None:
    """Two parsers, one old and one new, must find the one name and address that were meant."""
    for header, name, address in (
        ("From", clean("From", from_name), from_address),
        ("To", "", to),
        ("Reply-To", "", reply_to or ""),
    ):
        values = _values(parsed, header)
        expected = [(name, addr_spec(header, address))] if address else []
        new, old = _by_new_parser(header, values), _by_old_parser(values)
        if _without_blanks(new) != _without_blanks(expected) or old != expected:
            raise UnsafeMessage(header, "it reads back as another address than was meant")


def _compare_subject(parsed: Message, subject: str) -> None:
    (value,) = _values(parsed, "Subject")
    new = str(email.policy.default.header_factory("Subject", value))
    if not clean("Subject", subject) == new == _decoded(value):
        raise UnsafeMessage("Subject", "it reads back otherwise than it was meant")


def _values(head: Message, header: str) -> list[str]:
    # The raw ones: a local part beyond ASCII stands in the header as it is.
    raw = [str(value) for name, value in head.raw_items() if name == header]
    return [
        value.encode("ascii", "surrogateescape").decode().replace("\r\n", "").strip()
        for value in raw
    ]


def _by_new_parser(header: str, values: list[str]) -> list[tuple[str, str]]:
    parsed = [email.policy.default.header_factory(header, value) for value in values]
    return [(one.display_name, one.addr_spec) for field in parsed for one in field.addresses]


def _by_old_parser(values: list[str]) -> list[tuple[str, str]]:
    return [(_decoded(name), address) for name, address in getaddresses(values)]


def _without_blanks(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # Python 3.11 puts a blank between the encoded words of a name, against RFC 2047, 6.2.
    return [("".join(name.split()), address) for name, address in found]


def _decoded(value: str) -> str:
    return str(make_header(decode_header(value)))
