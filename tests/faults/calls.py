"""A system that raises alerts over the API, and what came of it."""

from contextvars import Context
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import tokens
from portal.identity.models import Organization
from tests.portal.web.api.calling import ALERT, System


@dataclass(frozen=True)
class Caller:
    """Calls as from elsewhere: nothing of the test's own context is in force."""

    system: System

    def raise_alert(self, text: str | None = None, *, key: str | None = None) -> TestResponse:
        # A transaction of the test's own would keep SQLite locked.
        db.session.rollback()
        body = ALERT | ({"text": text} if text else {})
        return Context().run(self.system.post, "/alerts", body, key=key)


def caller_of(app: Any, organization: Organization) -> Caller:
    """A system of this organization, with a token of its own; commits."""
    _, secret = tokens.create(organization, name="ci", scopes=["send", "read"], actor=OPERATOR)
    db.session.commit()
    return Caller(System(app, secret))


def count(model: Any) -> int:
    """How many rows there are now."""
    db.session.rollback()
    found = db.session.scalar(select(func.count()).select_from(model)) or 0
    db.session.rollback()
    return found
