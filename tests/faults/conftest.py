import pytest
from flask import Flask

from portal.identity.models import Organization
from tests.delivery_fixtures import acme, cast, globex, ledger, server, session
from tests.faults.calls import Caller, caller_of

__all__ = ["acme", "cast", "globex", "ledger", "server", "session"]


@pytest.fixture
def system(app: Flask, acme: Organization) -> Caller:
    """A system of Acme that raises alerts over the API."""
    return caller_of(app, acme)
