"""A template's parts and its first mail."""

from typing import Any

from portal.smtp.fast_message import Parts
from tests.portal.smtp.mails import DATE

PARTS = Parts(
    from_name="Acme Alerts",
    from_address="alerts@acme.example",
    subject="Disk almost full",
    text="The disk is almost full.\n",
    html="<p>The disk is almost full.</p>\n",
)
FIRST: dict[str, Any] = {
    "recipient": "ann@example.com",
    "message_id": "<01a1@acme.example>",
    "date": DATE,
}
