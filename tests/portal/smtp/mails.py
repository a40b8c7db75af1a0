"""A mail built from sensible parts, and two ways to read it."""

import email
import email.message
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

from portal.smtp.message import build_message

DATE = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
MIME = ["MIME-Version", "Content-Type"]


def build(**changes: Any) -> bytes:
    parts: dict[str, Any] = {
        "message_id": "<01a1@acme.example>",
        "date": DATE,
        "from_name": "Acme Alerts",
        "from_address": "alerts@acme.example",
        "to_address": "ann@example.com",
        "subject": "Disk almost full",
        "text": "The disk is almost full.\n",
        "html": "<p>The disk is almost full.</p>\n",
    }
    return build_message(**{**parts, **changes})


def parsed(built: bytes) -> EmailMessage:
    message = email.message_from_bytes(built, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def old_parsed(built: bytes) -> email.message.Message:
    return email.message_from_bytes(built, policy=email.policy.compat32)


def decoded(value: Any) -> str:
    return str(make_header(decode_header(str(value).replace("\r\n", ""))))


def content_of(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


def lines_of(built: bytes) -> list[bytes]:
    lines = built.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    return lines
