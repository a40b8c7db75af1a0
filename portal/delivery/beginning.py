"""Which deliveries go now, and by which sender: decided for many claims in one transaction.

The caller commits, and only then may the letters be written: what breaks there has been counted.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select, update

from portal.clock import new_id, utcnow
from portal.delivery import aside, claims, outbox, suppressions
from portal.delivery.aside import Aside
from portal.delivery.claims import Claim
from portal.delivery.guards import guard_for
from portal.delivery.health import SENDER_FAILING, Pauses
from portal.delivery.limits import RATE, Capped, Limits, Wait
from portal.delivery.models import Attempt, Delivery, Level, State
from portal.delivery.ways import Ways
from portal.destinations import Guard
from portal.identity.models import Membership, Organization, OrganizationState
from portal.kinds import BY_KEY, Kind
from portal.letters.compose import Identity
from portal.prepared import Prepared, PreparedInsert, PreparedSelect
from portal.settings.effective import Origin, Resolved
from portal.settings.scope import Scope


@dataclass(frozen=True, eq=False)
class Begun:
    """A delivery whose attempt is counted, with all that its letter is made of but the payload."""

    claim: Claim
    sender: Resolved
    kind: Kind
    payload_id: uuid.UUID
    recipient: str
    message_id: str
    date: datetime
    language: str
    timezone: str
    identity: Identity

    @property
    def guard(self) -> Guard:
        """Where this sender may connect to."""
        is_host = self.sender.bundle.owner == "host"
        return guard_for(Scope(None if is_host else self.claim.organization_id))


class Beginning:
    """Of the deliveries of these claims, all of one worker: `begin` each, then `store`."""

    def __init__(self, claimed: Sequence[Claim], ways: Ways) -> None:
        ways.refresh()
        self._now = utcnow()
        self._deleted = _deleted({one.organization_id for one in claimed})
        self._members = _members(claimed)
        self._ways = ways
        self._pauses = Pauses()
        addresses = [(one.organization_id, one.letter.recipient) for one in claimed]
        self._limits = Limits(addresses, ways)
        self._bounced = suppressions.Listed(addresses)
        self._aside: list[tuple[Claim, Aside]] = []
        self._sent: list[tuple[Claim, Resolved]] = []

    def begin(self, claimed: Claim) -> Begun | None:
        """Decide by which sender it goes. None: it is not sent now, and its state will say why."""
        letter = claimed.letter
        kind = BY_KEY[letter.kind]
        way = self._way(claimed, kind)
        if isinstance(way, Aside):
            self._aside.append((claimed, way))
            return None
        self._sent.append((claimed, way))
        return Begun(
            claim=claimed,
            sender=way,
            kind=kind,
            payload_id=letter.payload_id,
            recipient=letter.recipient,
            message_id=letter.message_id,
            date=letter.created_at,
            language=letter.language,
            timezone=letter.timezone,
            identity=self._ways.identity(claimed.organization_id, kind),
        )

    def store(self) -> set[Claim]:
        """Write down what was decided; the caller commits. Returns the claims that are lost: what
        was begun of them must not be sent."""
        lost: set[Claim] = set()
        if self._aside:
            ended = [claimed for claimed, _ in self._aside]
            lost = set(ended) - claims.held(ended)
            aside.put([how for claimed, how in self._aside if claimed not in lost])
        self._limits.store()
        return lost | self._count()

    def _way(self, claimed: Claim, kind: Kind) -> Resolved | Aside:
        """The sender of this try, or the state in which the mail stays or waits."""
        its_id, organization_id, letter = (
            claimed.delivery_id,
            claimed.organization_id,
            claimed.letter,
        )
        if organization_id in self._deleted:
            return Aside(its_id, State.CANCELLED, "organization_deleted")
        if organization_id is not None and not kind.is_security and not self._belongs(claimed):
            return Aside(its_id, State.CANCELLED, "not_a_member")
        if letter.expires_at <= self._now:
            return Aside(its_id, State.EXPIRED, "expired")
        if self._bounced.stops(organization_id, letter.recipient, kind):
            return Aside(its_id, State.SUPPRESSED, suppressions.BOUNCED)
        way = self._ways.find(organization_id, kind, letter.user_id, self._pauses, self._now)
        if way == outbox.EXTERNAL:
            return Aside(its_id, State.SUPPRESSED, way)
        if isinstance(way, str):
            waits_for = self._ways.first(organization_id, kind)
            return Aside(its_id, State.HELD, way, sender_id=waits_for)
        limit = self._limits.take(
            way, organization_id, kind, letter.recipient, is_counted=letter.was_by_host
        )
        match limit:
            case Capped() if way.is_fallback:
                # The own sender may carry it when it works again.
                waits_for = self._ways.first(organization_id, kind)
                return Aside(its_id, State.HELD, SENDER_FAILING, sender_id=waits_for)
            case Capped(reason):
                return Aside(its_id, State.SUPPRESSED, reason)
            case Wait(until):
                return Aside(its_id, State.QUEUED, RATE, sender_id=way.sender_id, until=until)
        return way

    def _belongs(self, claimed: Claim) -> bool:
        """Whether the recipient still is a member; an outside address never was one."""
        user_id = claimed.letter.user_id
        return user_id is None or (claimed.organization_id, user_id) in self._members

    def _count(self) -> set[Claim]:
        """Count the attempts before anything can go wrong with them. Returns the lost claims."""
        if not self._sent:
            return set()
        worker = self._sent[0][0].worker
        counted = _COUNT.run([_counted(*one) for one in self._sent], worker=worker)
        lost: set[Claim] = set()
        if counted != len(self._sent):
            begun = [claimed for claimed, _ in self._sent]
            lost = set(begun) - claims.held(begun)
        attempts = [_attempt(*one) for one in self._sent if one[0] not in lost]
        _ATTEMPT.run(attempts, started_at=self._now, worker=worker)
        return lost


def _counted(claimed: Claim, resolved: Resolved) -> tuple[Any, ...]:
    bundle = resolved.bundle
    return (
        *claims.key(claimed),
        claimed.number,
        resolved.sender_id,
        bundle.name,
        level_of(resolved),
        bundle.server,
    )


def _attempt(claimed: Claim, resolved: Resolved) -> tuple[Any, ...]:
    bundle = resolved.bundle
    return (
        new_id(),
        claimed.organization_id,
        claimed.delivery_id,
        claimed.number,
        bundle.name,
        bundle.version,
        resolved.from_version_id,
        bundle.server,
    )


_table = cast(Table, Delivery.__table__)
_COUNT = Prepared(
    lambda own: (
        update(_table)
        .where(claims.mine(own))
        .values(
            attempt_count=own["its_number"],
            sender_id=own["its_sender_id"],
            sender=own["its_sender"],
            level=own["its_level"],
            server=own["its_server"],
        )
    ),
    claims.KEY
    | {
        "its_number": _table.c.attempt_count,
        "its_sender_id": _table.c.sender_id,
        "its_sender": _table.c.sender,
        "its_level": _table.c.level,
        "its_server": _table.c.server,
    },
)
_ATTEMPT = PreparedInsert(
    cast(Table, Attempt.__table__),
    (
        "id",
        "organization_id",
        "delivery_id",
        "number",
        "sender",
        "sender_version",
        "from_version_id",
        "server",
    ),
    shared=("started_at", "worker"),
    fixed={"is_route_fault": False, "phases": []},
)


def level_of(resolved: Resolved) -> Level:
    if resolved.is_fallback:
        return Level.FALLBACK
    return Level.HOST if resolved.level is Origin.HOST else Level.ORGANIZATION


def _deleted(organizations: set[uuid.UUID | None]) -> set[uuid.UUID | None]:
    asked = [one for one in organizations if one is not None]
    return {its_id for (its_id,) in _DELETED.rows(asked=asked)} if asked else set()


def _members(claimed: Sequence[Claim]) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """The recipients who are members, each with the organization: of any of those concerned."""
    wanted = [one for one in claimed if one.organization_id and one.letter.user_id]
    if not wanted:
        return set()
    found = _MEMBERS.rows(
        users=list({one.letter.user_id for one in wanted}),
        organizations=list({one.organization_id for one in wanted}),
    )
    return {(organization_id, user_id) for organization_id, user_id in found}


_organizations = cast(Table, Organization.__table__)
_DELETED = PreparedSelect(
    lambda among: select(_organizations.c.id).where(
        among(_organizations.c.id, "asked"),
        _organizations.c.state == OrganizationState.DELETED,
    )
)
_members_table = cast(Table, Membership.__table__)
_MEMBERS = PreparedSelect(
    lambda among: select(_members_table.c.organization_id, _members_table.c.user_id).where(
        among(_members_table.c.user_id, "users"),
        among(_members_table.c.organization_id, "organizations"),
    )
)
