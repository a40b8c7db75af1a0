"""The built-in mail catcher's mail, for reading. There is such a page only where the demo runs."""

import base64
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from html import escape, unescape
from pathlib import Path
from typing import cast

from flask import Response, abort, current_app, render_template
from flask.typing import ResponseReturnValue

from portal import caught
from portal.caught import CaughtMail, Envelope
from portal.config import Config
from portal.identity.policy import Permission
from portal.web.blueprints import host as blueprint
from portal.web.guard import requires

_SHOWN = 200
_LINK = re.compile(r"https?://[^\s<>\"']+")
# An image that the mail itself carries (RFC 2392).
_CARRIED = re.compile(r'(?<=src=")cid:([^"]{1,300})(?=")')
# What a mail holds is a stranger's: it runs nothing, loads nothing and knows no session.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class MailRow:
    """One line of the list."""

    id: uuid.UUID
    received_at: datetime
    envelope: Envelope
    subject: str


@dataclass(frozen=True)
class ReadMail:
    """A whole mail: decoded headers in their order, the text, the links in it."""

    row: MailRow
    headers: tuple[tuple[str, str], ...]
    text: str
    links: tuple[str, ...]
    has_html: bool


@blueprint.get("/mail-catcher")
@requires(Permission.HOST_CATCHER_READ)
def mail_catcher() -> ResponseReturnValue:
    """What the catcher took, newest first."""
    rows = [_row(mail, _parsed(mail)) for mail in caught.newest(_folder(), limit=_SHOWN)]
    return render_template("host/mail_catcher.html", rows=rows)


@blueprint.get("/mail-catcher/<uuid:mail_id>")
@requires(Permission.HOST_CATCHER_READ)
def mail_catcher_mail(mail_id: uuid.UUID) -> ResponseReturnValue:
    """One mail: text, HTML in a frame, headers."""
    mail = _find(mail_id)
    message = _parsed(mail)
    text = _content(message, "text/plain") or ""
    read = ReadMail(
        row=_row(mail, message),
        headers=tuple((name, _decoded(value)) for name, value in message.items()),
        text=text,
        links=tuple(dict.fromkeys(_LINK.findall(text))),
        has_html=_content(message, "text/html") is not None,
    )
    return render_template("host/mail_catcher_mail.html", mail=read)


@blueprint.get("/mail-catcher/<uuid:mail_id>/html")
@requires(Permission.HOST_CATCHER_READ)
def mail_catcher_html(mail_id: uuid.UUID) -> ResponseReturnValue:
    """The HTML of one mail, for the frame of its page."""
    message = _parsed(_find(mail_id))
    html = _content(message, "text/html")
    if html is None:
        abort(404)
    html = _CARRIED.sub(lambda found: _data_of(message, found), html)
    # Pages refuse to be framed, so that a link of the mail must leave the frame.
    answer = Response(html.replace("<head>", '<head><base target="_blank">', 1))
    answer.headers["Content-Security-Policy"] = _MAIL_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def _folder() -> Path:
    config: Config = current_app.extensions["config"]
    if not config.mail_catcher:
        abort(404)
    return config.caught_mail_dir


def _find(mail_id: uuid.UUID) -> CaughtMail:
    return caught.find(_folder(), mail_id) or abort(404)


def _parsed(mail: CaughtMail) -> Message:
    return message_from_bytes(mail.path.read_bytes())


def _row(mail: CaughtMail, message: Message) -> MailRow:
    subject = _decoded(message.get("Subject", ""))
    return MailRow(mail.id, mail.received_at, mail.envelope, subject)


def _decoded(value: str) -> str:
    """A header as people read it (RFC 2047); as it came where it cannot be decoded."""
    try:
        return str(make_header(decode_header(str(value)))).replace("\n", "")
    except (HeaderParseError, LookupError, ValueError):
        return str(value)


def _content(message: Message, wanted: str) -> str | None:
    part = next(_parts(message, wanted), None)
    if part is None:
        return None
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return None
    try:
        return payload.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        return payload.decode("utf-8", errors="replace")


def _data_of(message: Message, found: re.Match[str]) -> str:
    """The image of this Content-ID as a data: link; as it was where the mail has none."""
    wanted = f"<{unescape(found[1])}>"
    for part in message.walk():
        content = part.get_payload(decode=True)
        is_image = part.get_content_maintype() == "image" and isinstance(content, bytes)
        if is_image and part.get("Content-ID") == wanted:
            data = base64.b64encode(cast(bytes, content)).decode("ascii")
            return escape(f"data:{part.get_content_type()};base64,{data}")
    return found[0]


def _parts(message: Message, wanted: str) -> Iterator[Message]:
    return (part for part in message.walk() if part.get_content_type() == wanted)
