"""Fixtures of tests that deliver: a server, the cast with senders that reach it, the checker.

A conftest.py imports those that its tests ask for.
"""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from portal.delivery import sweeping
from portal.extensions import db
from portal.identity.models import Organization
from tests.cast import Cast, assemble
from tests.delivering import allow
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """The SMTP server that the senders of the cast point to."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def cast(app: Flask, server: SmtpServer) -> Cast:
    """The cast, with senders that reach a server."""
    return assemble(app, smtp_port=server.port)


@pytest.fixture
def session(app: Flask, cast: Cast, server: SmtpServer) -> Iterator[scoped_session[Session]]:
    """The database session of a context that stays open, with the cast in place
    and its events handled."""
    with app.app_context():
        allow(server)
        sweeping.handle_events()
        yield db.session


@pytest.fixture
def acme(session: scoped_session[Session], cast: Cast) -> Organization:
    """An organization on the host's sender, no-reply@gatepost.test."""
    return session.get_one(Organization, cast.acme.id)


@pytest.fixture
def globex(session: scoped_session[Session], cast: Cast) -> Organization:
    """An organization with a sender of its own, alerts@globex.test."""
    return session.get_one(Organization, cast.globex.id)


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    """The checker of what was promised to both organizations."""
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})
