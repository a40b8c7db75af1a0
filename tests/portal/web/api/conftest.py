"""Systems that call the API, each with a token of its own."""

from collections.abc import Callable

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import tokens
from portal.identity.models import Organization
from tests.cast import Cast, Tenant
from tests.portal.web.api.calling import System

MakeSystem = Callable[..., System]


@pytest.fixture
def system(app: Flask, cast: Cast) -> MakeSystem:
    """`system(cast.acme, "send", "read")` calls with a new token; None is the host's."""

    def make(tenant: Tenant | None, *scopes: str) -> System:
        with app.app_context():
            owner = db.session.get_one(Organization, tenant.id) if tenant else None
            name = f"{'-'.join(scopes)}-{len(tokens.of(owner))}"
            row, secret = tokens.create(owner, name=name, scopes=list(scopes), actor=OPERATOR)
            db.session.commit()
            return System(app, secret, row.id)

    return make


@pytest.fixture
def acme(system: MakeSystem, cast: Cast) -> System:
    """A system of Acme that may do everything there."""
    return system(cast.acme, "send", "read", "configure")


@pytest.fixture
def globex(system: MakeSystem, cast: Cast) -> System:
    return system(cast.globex, "send", "read", "configure")


@pytest.fixture
def host(system: MakeSystem) -> System:
    """A system of the host that may do everything."""
    return system(None, "send", "read", "configure")
