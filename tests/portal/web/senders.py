"""What the tests of sender pages share: a server that a sender may reach, and what to type."""

from collections.abc import Mapping

from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import changes, effective, senders
from portal.settings.models import Sender, VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Replace
from tests.cast import Tenant
from tests.smtp_server import SmtpServer

# Looked for in every page and table after a test: it must be in none.
CANARY = "  canary 7d1f  "
USER = "alerts@globex.test"


def login_server() -> SmtpServer:
    return SmtpServer(tls="starttls", auth={USER: CANARY}, require_auth=True)


def typed_for(server: SmtpServer, /, **changes: str) -> dict[str, str]:
    """What a person types into the form of a sender on this server."""
    return {
        "name": "new",
        "from_address": USER,
        "display_name": "Globex Alerts",
        "server": server.host,
        "port": str(server.port),
        "encryption": server.tls or "none",
        "ca": server.ca if server.tls else "",
        "authentication": "password" if server.auth else "none",
        **changes,
    }


def with_secret(values: Mapping[str, str], secret: str = CANARY) -> dict[str, str]:
    return {**values, "password": secret, "secret_act": "replace"}


def open_to_organizations(app: Flask, *servers: SmtpServer) -> None:
    """Loopback is closed to organizations unless the host opens it."""
    with app.app_context():
        entries = [f"127.0.0.1:{server.port}" for server in servers]
        changes.save_allowed_destinations(entries, actor=OPERATOR)
        db.session.commit()


def scope_of(tenant: Tenant | None) -> Scope:
    return Scope.of(db.session.get_one(Organization, tenant.id)) if tenant else HOST


def found(tenant: Tenant | None, name: str) -> Sender | None:
    return senders.find(scope_of(tenant), name)


def path_of(app: Flask, tenant: Tenant | None, name: str) -> str:
    """The address of a sender's page."""
    with app.app_context():
        sender = found(tenant, name)
        assert sender is not None
        place = f"/organizations/{tenant.slug}" if tenant else "/host"
        return f"{place}/senders/{sender.id}"


def is_active(app: Flask, tenant: Tenant | None, name: str) -> bool:
    with app.app_context():
        sender = found(tenant, name)
        assert sender is not None
        return effective.version_of(sender, VersionState.ACTIVE) is not None


def store(app: Flask, tenant: Tenant | None, values: Mapping[str, str], secret: str) -> str:
    """An active sender with that secret; gives the address of its page."""
    raw = {key: value for key, value in values.items() if key != "name"}
    with app.app_context():
        senders.save(
            scope_of(tenant),
            values["name"],
            raw,
            secret=Replace(secret),
            actor=OPERATOR,
            activate=True,
        )
        db.session.commit()
    return path_of(app, tenant, values["name"])
