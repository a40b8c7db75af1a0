"""The organizations of a run: some send by senders of their own, the others by the host's."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import members, organizations, tokens, users
from portal.identity.models import Organization, Role
from portal.identity.policy import Scope as TokenScope
from portal.settings import changes, senders
from portal.settings.scope import HOST, Scope

HOST_ADDRESS = "no-reply@gatepost.test"
_CROWD = 5


@dataclass(frozen=True)
class Tenant:
    """An organization as those who hand in mail know it. `people`: its members by address."""

    id: uuid.UUID
    slug: str
    from_address: str
    people: Mapping[str, uuid.UUID]
    token: str

    @property
    def sends_itself(self) -> bool:
        return self.from_address != HOST_ADDRESS


def found(
    own: Sequence[str],
    shared: Sequence[str],
    port: int,
    *,
    elsewhere: Mapping[str, int] | None = None,
    crowds: Mapping[str, int] | None = None,
) -> list[Tenant]:
    """Make them; commits. Every sender points to that port of this machine, but of those whose
    slugs have a port of their own `elsewhere`. `crowds`: how many members they have, by slug; the
    host's sender carries no more than 120 mails an hour to each."""
    ports, crowds = elsewhere or {}, crowds or {}
    allowed = [f"127.0.0.1:{one}" for one in (port, *ports.values())]
    changes.save_allowed_destinations(allowed, actor=OPERATOR)
    _save_sender(HOST, HOST_ADDRESS, port)
    tenants = [_tenant(slug, HOST_ADDRESS, crowds.get(slug, _CROWD)) for slug in shared]
    for slug in own:
        tenant = _tenant(slug, f"alerts@{slug}.test", crowds.get(slug, _CROWD))
        _save_sender(Scope(tenant.id), tenant.from_address, ports.get(slug, port))
        changes.save_mail_settings(Scope(tenant.id), {"mode": "own"}, actor=OPERATOR)
        tenants.append(tenant)
    db.session.commit()
    return tenants


def _tenant(slug: str, from_address: str, crowd: int) -> Tenant:
    organization = organizations.create(name=slug.title(), short_name=slug, actor=OPERATOR)
    people = dict(_person(organization, number) for number in range(crowd))
    _, token = tokens.create(organization, name="ci", scopes=[TokenScope.SEND], actor=OPERATOR)
    return Tenant(organization.id, slug, from_address, people, token)


def _person(organization: Organization, number: int) -> tuple[str, uuid.UUID]:
    address = f"person{number}@{organization.slug}.test"
    user = users.create(email=address, name=f"Person {number}", actor=OPERATOR)
    members.add(organization, user, role=Role.MEMBER, actor=OPERATOR)
    return address, user.id


def _save_sender(scope: Scope, from_address: str, port: int) -> None:
    """A relay on this machine without login, in use at once; the caller commits."""
    values = {
        "display_name": from_address.partition("@")[2],
        "from_address": from_address,
        "server": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "authentication": "none",
    }
    senders.save(scope, "main", values, secret=senders.Clear(), actor=OPERATOR, activate=True)
    changes.set_default_sender(scope, "main", actor=OPERATOR)
