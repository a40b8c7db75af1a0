"""Finished mails from a byte template: one notification to many, a few microseconds each.

A template is cut from a mail of the slow path (`portal.smtp.message.build_message`), which parses
what it builds and compares it with the intent. Only To, Date and Message-ID are filled in anew.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Self

from portal.smtp.body import InlineImage
from portal.smtp.message import (
    MESSAGE_ID,
    UnsafeMessage,
    build_message,
    date_field,
)
from portal.smtp.wire import content_bytes

__all__ = ["MessageTemplate", "Parts", "UnsafeMessage"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What all mails of a template have in common; as in `build_message`.

    There are no extra headers: List-Unsubscribe holds one recipient's own link, and such a mail
    goes the slow path.
    """

    from_name: str
    from_address: str
    subject: str
    text: str
    html: str | None
    reply_to: str | None = None
    references: tuple[str, ...] = ()
    images: tuple[InlineImage, ...] = ()


class MessageTemplate(NamedTuple):
    """A mail in pieces, in the form in which it goes over the wire (CRLF, dots stuffed).

    Never for letters with secrets and never for security mail: each of these is built and parsed
    by itself (see `portal.delivery.letter_templates.key`, which is None for them).
    """

    before_to: bytes
    before_date: bytes
    before_message_id: bytes
    rest: bytes

    @classmethod
    def of(cls, parts: Parts, *, recipient: str, message_id: str, date: datetime) -> Self:
        """The template of these parts, from the mail for its first recipient.

        That mail is built by the slow path, parsed and compared with the intent, and what the
        template makes of the same values must be the same bytes. Raises UnsafeMessage.
        """
        built = build_message(message_id=message_id, date=date, to_address=recipient, **vars(parts))
        first = content_bytes(built)
        template = cls(*_cut(first))
        again = template.fill(recipient=recipient, message_id=message_id, date=date)
        if again not in (None, first):
            raise UnsafeMessage("message", "its template makes another mail than was meant")
        return template

    def fill(self, *, recipient: str, message_id: str, date: datetime) -> bytes | None:
        """The finished content of one mail, ready for the connection without another pass.

        None: a value is not of the plainest form (an address beyond ASCII, a time without zone,
        anything odd), and the slow path has to build or refuse this mail.
        """
        address = _ADDRESS.fullmatch(recipient)
        day = _date(date, date.utcoffset())
        if address is None or day is None or not _is_message_id(message_id):
            return None
        local, domain = address.groups()
        if len(recipient) > 254 or len(domain) > 253 or "=?" in local:
            return None
        return b"".join(
            (
                self.before_to,
                f"{local}@{domain.lower()}".encode("ascii"),
                self.before_date,
                day,
                self.before_message_id,
                message_id.encode("ascii"),
                self.rest,
            )
        )

    @property
    def size(self) -> int:
        """Octets that it keeps in memory."""
        return sum(map(len, self))


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@)({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
# The fields that differ, each a line of its own: values of these never need folding.
_FIELDS = tuple(
    re.compile(rb"^(%s: )([^\r\n]+)\r\n(?! )" % name, re.MULTILINE)
    for name in (b"To", b"Date", b"Message-ID")
)


def _is_message_id(value: str) -> bool:
    return MESSAGE_ID.fullmatch(value) is not None and "=?" not in value


@lru_cache(maxsize=256)
def _date(date: datetime, offset: timedelta | None) -> bytes | None:
    # The offset is part of the key: equal instants are written differently in two zones.
    if offset is None:
        return None
    return date_field(date).removeprefix(b"Date: ").removesuffix(b"\r\n")


def _cut(mail: bytes) -> list[bytes]:
    """The mail without the three values: what stands before each, and the rest."""
    head_end = mail.index(b"\r\n\r\n") + 2
    pieces, at = [], 0
    for field in _FIELDS:
        found = list(field.finditer(mail, 0, head_end))
        if len(found) != 1 or found[0].start() < at:
            raise UnsafeMessage("headers", "a field that differs is not there exactly once")
        begin, end = found[0].span(2)
        pieces.append(mail[at:begin])
        at = end
    return [*pieces, mail[at:]]
