"""The people of the tests, the same ones in each.

rita runs the host. Acme keeps the host's senders: alice is its Administrator, bob a Member. Globex
has senders of its own: carol is its Administrator. dave is a Member of both. The host's default
sender and Globex's both point to `smtp_port` on this machine, where a test may listen.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import members, organizations, users
from portal.identity.models import Organization, Role, User
from portal.settings import changes, senders
from portal.settings.scope import HOST, Scope

PASSWORD = "seven blue lamps in a row"
# Nobody listens there unless a test does.
NO_SERVER = 9


@dataclass(frozen=True)
class Person:
    """Who a person is, and what they type to sign in."""

    id: uuid.UUID
    email: str
    name: str
    password: str = PASSWORD


@dataclass(frozen=True)
class Tenant:
    """An organization, by what its addresses and rows are made of."""

    id: uuid.UUID
    slug: str
    name: str


@dataclass(frozen=True)
class Cast:
    """Everyone, and the organizations."""

    rita: Person
    alice: Person
    bob: Person
    carol: Person
    dave: Person
    acme: Tenant
    globex: Tenant


def assemble(app: Flask, *, smtp_port: int = NO_SERVER) -> Cast:
    """Create the cast through the capabilities that pages and commands use; commits."""
    with app.app_context():
        acme, globex = _organization("acme", "Acme"), _organization("globex", "Globex")
        cast = Cast(
            rita=_person("rita@gatepost.test", "Rita Root", is_system_administrator=True),
            alice=_person("alice@acme.test", "Alice Ames", {acme: Role.ADMINISTRATOR}),
            bob=_person("bob@acme.test", "Bob Bauer", {acme: Role.MEMBER}),
            carol=_person("carol@globex.test", "Carol Cruz", {globex: Role.ADMINISTRATOR}),
            dave=_person("dave@both.test", "Dave Dunn", {acme: Role.MEMBER, globex: Role.MEMBER}),
            acme=_tenant(acme),
            globex=_tenant(globex),
        )
        _sender(HOST, "platform", "Platform", "no-reply@gatepost.test", smtp_port)
        _sender(Scope.of(globex), "main", "Globex Alerts", "alerts@globex.test", smtp_port)
        changes.save_mail_settings(Scope.of(globex), {"mode": "own"}, actor=OPERATOR)
        db.session.commit()
    return cast


def _organization(slug: str, name: str) -> Organization:
    return organizations.create(name=name, short_name=slug, actor=OPERATOR)


def _person(
    email: str,
    name: str,
    roles: Mapping[Organization, Role] | None = None,
    *,
    is_system_administrator: bool = False,
) -> Person:
    user: User = users.create(
        email=email,
        name=name,
        password=PASSWORD,
        is_system_administrator=is_system_administrator,
        actor=OPERATOR,
    )
    for organization, role in (roles or {}).items():
        members.add(organization, user, role=role, actor=OPERATOR)
    return Person(user.id, user.email, user.name)


def _tenant(organization: Organization) -> Tenant:
    return Tenant(organization.id, organization.slug, organization.name)


def _sender(scope: Scope, name: str, display_name: str, from_address: str, port: int) -> None:
    """A relay on this machine without login; active, because the operator says so."""
    values = {
        "display_name": display_name,
        "from_address": from_address,
        "server": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "authentication": "none",
    }
    senders.save(scope, name, values, secret=senders.Clear(), actor=OPERATOR, activate=True)
    changes.set_default_sender(scope, name, actor=OPERATOR)
