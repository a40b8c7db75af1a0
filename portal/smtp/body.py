"""The body of a mail: its parts as MIME writes them, and as a reader finds them again.

Text alone, or text and HTML as alternatives; images that the HTML names by Content-ID lie with it
in a multipart/related (RFC 2387), so that a reader of plain text never meets them.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from email.message import Message

from portal.smtp.headers import UnsafeMessage

# A part as (type, content), where the content of a multipart is a list of parts, and that of an
# image has its Content-ID before it.
Part = tuple[str, object]


@dataclass(frozen=True)
class InlineImage:
    """An image that the HTML part shows. `content_id` as in its cid: link, without brackets;
    `subtype` is png or jpeg."""

    content_id: str
    subtype: str
    content: bytes = field(repr=False)


def body(text: str, html: str | None, images: tuple[InlineImage, ...], *, message_id: str) -> bytes:
    """The mail from its Content-Type on. Raises UnsafeMessage for what no reader takes."""
    if html is None:
        return _text("plain", text)
    rich = _text("html", html)
    if images:
        inside = [rich, *(_image(image) for image in images)]
        rich = _multipart("related", inside, message_id, parameter='type="text/html"')
    return _multipart("alternative", [_text("plain", text), rich], message_id)


def meant(text: str, html: str | None, images: tuple[InlineImage, ...]) -> Part:
    """What a reader must find in a body of these contents."""
    plain = ("text/plain", lines("text/plain", text))
    if html is None:
        return plain
    rich: Part = ("text/html", lines("text/html", html))
    if images:
        shown = [(f"image/{one.subtype}", (f"<{one.content_id}>", one.content)) for one in images]
        rich = ("multipart/related", [rich, *shown])
    return "multipart/alternative", [plain, rich]


def found(part: Message) -> Part:
    """What a reader finds."""
    kind = part.get_content_type()
    inside = part.get_payload()
    if part.is_multipart() and isinstance(inside, list):
        return kind, [found(one) for one in inside if isinstance(one, Message)]
    octets = part.get_payload(decode=True)
    content = octets if isinstance(octets, bytes) else b""
    if kind.startswith("image/"):
        return kind, (str(part.get("Content-ID", "")), content)
    return kind, content.replace(b"\r\n", b"\n")


def lines(part: str, content: str) -> bytes:
    """The content in UTF-8 with LF line ends, one at the end. Raises UnsafeMessage for controls."""
    normal = content.replace("\r\n", "\n").replace("\r", "\n")
    try:
        octets = normal.encode()
    except UnicodeEncodeError as problem:
        wrong = ord(normal[problem.start])
        raise UnsafeMessage(part, f"it holds the lone surrogate U+{wrong:04X}") from None
    if len(octets.translate(None, _UNSAFE)) < len(octets):
        wrong = next(octet for octet in octets if octet in _UNSAFE)
        raise UnsafeMessage(part, f"it holds the control character U+{wrong:04X}")
    return octets if octets.endswith(b"\n") else octets + b"\n"


_UNSAFE = bytes({*range(0x20), 0x7F} - {*b"\t\n"})
_CONTENT_ID = re.compile(r"[A-Za-z0-9.]{1,100}@[A-Za-z0-9.-]{1,100}")
_SUBTYPES = ("png", "jpeg")


def _multipart(kind: str, parts: list[bytes], message_id: str, parameter: str = "") -> bytes:
    # "=_" occurs neither in quoted-printable nor in base64, so no part can hold the boundary.
    boundary = f"=_{hashlib.sha256(f'{kind} {message_id}'.encode()).hexdigest()[:32]}"
    mark = f"\r\n--{boundary}".encode()
    more = f" {parameter};\r\n" if parameter else ""
    return b"".join(
        [
            f"Content-Type: multipart/{kind};\r\n".encode(),
            f'{more} boundary="{boundary}"\r\n'.encode(),
            *(mark + b"\r\n" + part for part in parts),
            mark + b"--\r\n",
        ]
    )


def _text(subtype: str, content: str) -> bytes:
    octets = lines(subtype, content)
    encoding, encoded = "quoted-printable", binascii.b2a_qp(octets)
    if len(encoded) > len(octets) * 3 // 2:  # mostly beyond ASCII: base64 is shorter
        encoding, encoded = "base64", base64.encodebytes(octets.replace(b"\n", b"\r\n"))
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"
    return head.encode() + b"\r\n\r\n" + encoded.replace(b"\n", b"\r\n")


def _image(image: InlineImage) -> bytes:
    if image.subtype not in _SUBTYPES or not _CONTENT_ID.fullmatch(image.content_id):
        raise UnsafeMessage("image", "its type or its Content-ID is not of the form that is meant")
    name = f"logo.{image.subtype}"
    head = (
        f'Content-Type: image/{image.subtype}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{image.content_id}>\r\n"
        f'Content-Disposition: inline; filename="{name}"\r\n\r\n'
    )
    return head.encode() + base64.encodebytes(image.content).replace(b"\n", b"\r\n")
