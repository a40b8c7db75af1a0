"""Tests of a sender as its form asks for them, against the scripted server."""

from typing import Any

from sqlalchemy import func, select

from portal.audit.log import Actor
from portal.delivery import sender_tests
from portal.delivery.report import Report
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.scope import Scope
from portal.settings.senders import Clear, SecretChange
from tests.smtp_server import SmtpServer


def values(server: SmtpServer, **changes: Any) -> dict[str, Any]:
    """A form as somebody fills it in for this server."""
    return {
        "display_name": "Globex",
        "from_address": "new@globex.test",
        "server": server.host,
        "port": server.port,
        "encryption": "starttls" if server.tls else "none",
        "ca": server.ca if server.tls else "",
        "authentication": "password" if server.auth else "none",
        "username": "globex" if server.auth else "",
        **changes,
    }


def run(
    organization: Organization | None,
    raw: dict[str, Any],
    actor: Actor,
    *,
    secret: SecretChange | None = None,
    name: str = "main",
    to: str = "carol@globex.test",
    check_only: bool = False,
) -> Report:
    sender = senders.find(Scope.of(organization), name)
    change = secret or Clear()
    return sender_tests.run(
        organization,
        sender,
        raw,
        name=name,
        secret=change,
        to=to,
        check_only=check_only,
        actor=actor,
    )


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0
