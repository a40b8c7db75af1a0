"""Which deliveries go now, and by which sender: decided for many claims in one transaction.

The caller commits, and only then may the letters be written: what breaks there has been counted.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, insert, select, tuple_, update

from portal.clock import new_id, utcnow
from portal.delivery import aside, claims, outbox, suppressions
from portal.delivery.aside import Aside
from portal.delivery.claims import Claim
from portal.delivery.guards import guard_for
from portal.delivery.health import Pauses
from portal.delivery.limits import RATE, Capped, Limits, Wait
from portal.delivery.models import Attempt, Delivery, Level, State
from portal.delivery.ways import Ways
from portal.destinations import Guard
from portal.extensions import db
from portal.identity.models import Membership, Organization, OrganizationState
from portal.kinds import BY_KEY, Kind
from portal.letters.compose import Identity
from portal.settings.effective import Origin, Resolved
from portal.settings.scope import Scope

_COLUMNS = (
    Delivery.id,
    Delivery.organization_id,
    Delivery.payload_id,
    Delivery.kind,
    Delivery.recipient,
    Delivery.user_id,
    Delivery.language,
    Delivery.timezone,
    Delivery.message_id,
    Delivery.created_at,
    Delivery.expires_at,
    Delivery.attempt_count,
    Delivery.level,
    Organization.state.label("organization_state"),
)
_Row = Row[*tuple[Any, ...]]
_table = cast(Table, Delivery.__table__)


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
        self._worker = claimed[0].worker
        self._rows = _rows(claimed)
        self._members = _members(list(self._rows.values()))
        self._ways = ways
        self._pauses = Pauses()
        addresses = [(row.organization_id, row.recipient) for row in self._rows.values()]
        self._limits = Limits(addresses, ways)
        self._bounced = suppressions.Listed(addresses)
        self._aside: list[Aside] = []
        self._attempts: list[dict[str, Any]] = []
        self._counted: list[dict[str, Any]] = []

    def begin(self, claimed: Claim) -> Begun | None:
        """Decide by which sender it goes. None: it is not sent now, because the claim is lost or
        its state says why."""
        row = self._rows.get(claimed.delivery_id)
        if row is None:
            return None
        kind = BY_KEY[row.kind]
        way = self._way(row, kind)
        if isinstance(way, Aside):
            self._aside.append(way)
            return None
        self._count(row, way, claimed)
        return Begun(
            claim=claimed,
            sender=way,
            kind=kind,
            payload_id=row.payload_id,
            recipient=row.recipient,
            message_id=row.message_id,
            date=row.created_at,
            language=row.language,
            timezone=row.timezone,
            identity=self._ways.identity(row.organization_id, kind),
        )

    def store(self) -> None:
        """Write down what was decided; the caller commits."""
        aside.put(self._aside)
        self._limits.store()
        if self._attempts:
            db.session.execute(insert(Attempt), self._attempts)
            db.session.connection().execute(_COUNT, self._counted)

    def _way(self, row: _Row, kind: Kind) -> Resolved | Aside:
        """The sender of this try, or the state in which the mail stays or waits."""
        if row.organization_state is OrganizationState.DELETED:
            return Aside(row.id, State.CANCELLED, "organization_deleted")
        if row.organization_id is not None and not kind.is_security and not self._belongs(row):
            return Aside(row.id, State.CANCELLED, "not_a_member")
        if row.expires_at <= self._now:
            return Aside(row.id, State.EXPIRED, "expired")
        if self._bounced.stops(row.organization_id, row.recipient, kind):
            return Aside(row.id, State.SUPPRESSED, suppressions.BOUNCED)
        way = self._ways.find(row.organization_id, kind, row.user_id, self._pauses, self._now)
        if way == outbox.EXTERNAL:
            return Aside(row.id, State.SUPPRESSED, way)
        if isinstance(way, str):
            waits_for = self._ways.first(row.organization_id, kind)
            return Aside(row.id, State.HELD, way, sender_id=waits_for)
        is_first = row.level is None
        limit = self._limits.take(way, row.organization_id, kind, row.recipient, is_first=is_first)
        match limit:
            case Capped(reason):
                return Aside(row.id, State.SUPPRESSED, reason)
            case Wait(until):
                return Aside(row.id, State.QUEUED, RATE, sender_id=way.sender_id, until=until)
        return way

    def _belongs(self, row: _Row) -> bool:
        """Whether the recipient still is a member; an outside address never was one."""
        return row.user_id is None or (row.organization_id, row.user_id) in self._members

    def _count(self, row: _Row, resolved: Resolved, claimed: Claim) -> None:
        """Count the attempt before anything can go wrong with it."""
        bundle = resolved.bundle
        number = row.attempt_count + 1
        self._attempts.append(
            {
                "id": new_id(),
                "organization_id": row.organization_id,
                "delivery_id": row.id,
                "number": number,
                "started_at": self._now,
                "worker": claimed.worker,
                "sender": bundle.name,
                "sender_version": bundle.version,
                "from_version_id": resolved.from_version_id,
                "server": bundle.server,
                "is_route_fault": False,
                "phases": [],
            }
        )
        self._counted.append(
            {
                "its_id": row.id,
                "attempt_count": number,
                "sender_id": resolved.sender_id,
                "sender": bundle.name,
                "level": level_of(resolved),
                "server": bundle.server,
            }
        )


_HELD_ROWS = (
    select(*_COLUMNS)
    .select_from(Delivery)
    .join(Organization, Organization.id == Delivery.organization_id, isouter=True)
    .where(claims.HELD, Delivery.state == State.SENDING)
    .with_for_update(of=Delivery)
)
# The other columns come with the rows.
_COUNT = update(_table).where(_table.c.id == bindparam("its_id"))


def level_of(resolved: Resolved) -> Level:
    if resolved.is_fallback:
        return Level.FALLBACK
    return Level.HOST if resolved.level is Origin.HOST else Level.ORGANIZATION


def _rows(claimed: Sequence[Claim]) -> dict[uuid.UUID, _Row]:
    """Those whose claim still holds, locked: so that nobody recovers them before the commit."""
    rows = db.session.execute(_HELD_ROWS, claims.held(claimed))
    return {row.id: row for row in rows}


def _members(rows: Sequence[_Row]) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """Which of the recipients still are members, each with the organization."""
    asked = {(row.organization_id, row.user_id) for row in rows if row.organization_id}
    pairs = tuple_(Membership.organization_id, Membership.user_id)
    wanted = [(organization, user) for organization, user in asked if user]
    if not wanted:
        return set()
    found = db.session.execute(
        select(Membership.organization_id, Membership.user_id).where(
            # By themselves as well: SQLite finds no index for pairs.
            Membership.user_id.in_([user for _, user in wanted]),
            pairs.in_(wanted),
        )
    )
    return {(row.organization_id, row.user_id) for row in found}
