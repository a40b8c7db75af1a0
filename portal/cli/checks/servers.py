"""Each configured sender's server: may it be connected to, and can it. Whether it takes mail
is for its sender to find out."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from sqlalchemy import select

from portal.address_spelling import with_port
from portal.cli.checks.findings import Finding, fault, fine, warning
from portal.delivery import guards
from portal.destinations import Forbidden, Guard, NameNotFound
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import Scope

_CONNECT_SECONDS = 5.0
_ALL_WITHIN = 20.0
_AT_ONCE = 32
_MOST_ADDRESSES = 2
_MOST_SENDERS = 500


@dataclass(frozen=True)
class _Server:
    sender: str
    organization: str | None
    host: str
    port: int
    guard: Guard


def check() -> Iterator[Finding]:
    """Connect to all servers at once and close again; says nothing to them, nor hears what they
    say. Needs a context."""
    servers = _configured()
    # The session is not needed while servers are waited for.
    db.session.remove()
    pool = ThreadPoolExecutor(_AT_ONCE)
    tries = [(server, pool.submit(_fault_of, server)) for server in servers]
    wait([running for _, running in tries], timeout=_ALL_WITHIN)
    pool.shutdown(wait=False, cancel_futures=True)
    for server, running in tries:
        answered = running.done() and not running.cancelled()
        yield _finding(server, running.result() if answered else "gave no answer in time")


def _configured() -> list[_Server]:
    found = db.session.execute(
        select(Sender.name, Sender.organization_id, Organization.slug, SenderVersion)
        .join(SenderVersion, SenderVersion.sender_id == Sender.id)
        .outerjoin(Organization, Organization.id == Sender.organization_id)
        .where(Sender.enabled, SenderVersion.state == VersionState.ACTIVE)
        .order_by(Sender.organization_id.is_not(None), Organization.slug, Sender.name)
        .limit(_MOST_SENDERS)
    ).all()
    return [
        _Server(name, slug, version.server, version.port, guards.guard_for(Scope(organization_id)))
        for name, organization_id, slug, version in found
    ]


def _fault_of(server: _Server) -> str:
    """Why no connection came about, in words; empty where one did."""
    try:
        addresses = server.guard.addresses(server.host, server.port)
    except Forbidden:
        return "is a destination that organizations may not connect to"
    except NameNotFound as problem:
        return "could not be looked up" if problem.temporary else "has no address"
    for address in addresses[:_MOST_ADDRESSES]:
        try:
            socket.create_connection((address, server.port), timeout=_CONNECT_SECONDS).close()
        except OSError:
            continue
        return ""
    return "does not answer"


def _finding(server: _Server, why: str) -> Finding:
    place = with_port(server.host, server.port)
    owner = server.organization or "the host"
    if not why:
        return fine(
            "mail servers", f"{place} can be connected to (sender {server.sender} of {owner})."
        )
    option = f" --organization {server.organization}" if server.organization else ""
    message = f"{place} {why} (sender {server.sender} of {owner})."
    cure = (
        "Check name, port and firewall, then run: "
        f"portal sender test {server.sender}{option} --to ADDRESS --check-only"
    )
    return (warning if server.organization else fault)("mail servers", message, cure)
