"""What overview pages say: the last 24 hours, what waits, how fast mail leaves, what failed.

Each read is bounded: by the newest 10,000 deliveries, or by an index and a limit. `organization`
None is the host, which sees the mail of everyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Subquery, case, func, select, union

from portal.clock import utcnow
from portal.delivery import backlog, counting
from portal.delivery.counting import MOST, Count, first_id_of
from portal.delivery.models import Attempt, Delivery, State
from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.kinds import Priority
from portal.settings.models import MailSettings, Mode, Sender

HOURS = 24
_FAILED = (State.FAILED, State.EXPIRED, State.UNKNOWN)
_WAITING = (State.QUEUED, State.SENDING, State.DEFERRED, State.HELD)
_NEWEST_ACCEPTED = 500
_AT_ONCE = timedelta(seconds=10)


@dataclass(frozen=True)
class Hour:
    """One hour by state; `began` is its full hour in UTC."""

    began: datetime
    states: Mapping[State, int]

    def of(self, *states: State) -> int:
        return sum(self.states.get(state, 0) for state in states)


@dataclass(frozen=True)
class Day:
    """The hours, oldest first; the last one goes on. `is_cut`: not all mails, the newest 10,000
    and those of the newest 10,000 tries."""

    hours: tuple[Hour, ...]
    is_cut: bool

    def of(self, *states: State) -> int:
        return sum(hour.of(*states) for hour in self.hours)

    @property
    def accepted(self) -> Count:
        return Count(self.of(State.ACCEPTED), self.is_cut)

    @property
    def failed(self) -> Count:
        return Count(self.of(*_FAILED), self.is_cut)

    @property
    def total(self) -> int:
        return self.of(*State)


@dataclass(frozen=True)
class Waiting:
    """What was taken in and has not left. `due` can leave now, or is on its way; `deferred` is not
    due yet. `oldest` is when the first of it was asked for."""

    due: Count
    deferred: Count
    held: Count
    oldest: datetime | None

    @property
    def all(self) -> Count:
        return self.due + self.deferred + self.held


@dataclass(frozen=True)
class Speed:
    """How long the newest accepted mails took. `share` of them, 0 to 1, took 10 s or less."""

    share: float
    median: timedelta
    slowest_twentieth: timedelta
    number: int


@dataclass(frozen=True)
class Organizations:
    """How many organizations there are, by how their mail leaves."""

    inherit: int
    own: int
    off: int

    @property
    def all(self) -> int:
        return self.inherit + self.own + self.off


@dataclass(frozen=True)
class Senders:
    """How many senders are switched on, and how many of them fail; the host's and all."""

    all: int
    failing: int
    failing_of_host: int


def day(organization: Organization | None) -> Day:
    """The last 24 hours."""
    newest = _newest(organization)
    bucket = case(
        *((newest.c.id >= first_id_of(began), began.isoformat()) for began in _hours()[::-1])
    )
    rows = db.session.execute(
        select(bucket, newest.c.state, func.count()).group_by(bucket, newest.c.state)
    ).all()
    by_hour: dict[str, dict[State, int]] = {began.isoformat(): {} for began in _hours()}
    for began, state, number in rows:
        by_hour.setdefault(began, {})[state] = number
    hours = tuple(Hour(datetime.fromisoformat(key), found) for key, found in by_hour.items())
    return Day(hours, sum(hour.of(*State) for hour in hours) >= MOST)


def waiting(organization: Organization | None) -> Waiting:
    rows = {state: _in_state(organization, state) for state in _WAITING}
    counts = {state: counting.count(found) for state, found in rows.items()}
    due_again, deferred = _deferred(organization) if counts[State.DEFERRED] else (Count(0),) * 2
    oldest = [
        db.session.scalar(select(func.min(found.limit(MOST).subquery().c.created_at)))
        for state, found in rows.items()
        if counts[state]
    ]
    return Waiting(
        due=counts[State.QUEUED] + counts[State.SENDING] + due_again,
        deferred=deferred,
        held=counts[State.HELD],
        oldest=min((found for found in oldest if found), default=None),
    )


def speed(organization: Organization | None) -> Speed | None:
    """None: nothing was accepted in the last 24 hours."""
    newest = _newest(organization)
    rows = db.session.execute(
        select(newest.c.created_at, newest.c.accepted_at)
        .where(newest.c.state == State.ACCEPTED)
        .order_by(newest.c.id.desc())
        .limit(_NEWEST_ACCEPTED)
    )
    took = sorted(accepted - asked for asked, accepted in rows if accepted is not None)
    if not took:
        return None
    at_once = sum(1 for one in took if one <= _AT_ONCE)
    return Speed(
        share=at_once / len(took),
        median=took[len(took) // 2],
        slowest_twentieth=took[len(took) * 95 // 100],
        number=len(took),
    )


def failures(organization: Organization | None, *, limit: int = 6) -> Sequence[Delivery]:
    """What failed in the last 24 hours, newest first."""
    newest = _newest(organization)
    wanted = (
        select(newest.c.id)
        .where(newest.c.state.in_(_FAILED))
        .order_by(newest.c.id.desc())
        .limit(limit)
    )
    return db.session.scalars(
        select(Delivery).where(Delivery.id.in_(wanted)).order_by(Delivery.id.desc())
    ).all()


def organizations() -> Organizations:
    mode = func.coalesce(MailSettings.mode, Mode.INHERIT.value)
    rows = db.session.execute(
        select(mode, func.count())
        .select_from(Organization)
        .outerjoin(MailSettings, MailSettings.organization_id == Organization.id)
        .where(Organization.state != OrganizationState.DELETED)
        .group_by(mode)
    )
    found = {Mode(key): number for key, number in rows}
    return Organizations(*(found.get(key, 0) for key in (Mode.INHERIT, Mode.OWN, Mode.OFF)))


def senders() -> Senders:
    failing = func.sum(case((Sender.consecutive_failures > 0, 1), else_=0))
    rows = db.session.execute(
        select(Sender.organization_id.is_(None), func.count(), failing)
        .outerjoin(Organization, Organization.id == Sender.organization_id)
        .where(
            Sender.enabled,
            Organization.id.is_(None) | (Organization.state != OrganizationState.DELETED),
        )
        .group_by(Sender.organization_id.is_(None))
    ).all()
    return Senders(
        all=sum(number for _, number, _ in rows),
        failing=sum(bad for _, _, bad in rows),
        failing_of_host=sum(bad for is_host, _, bad in rows if is_host),
    )


def _hours() -> list[datetime]:
    now = utcnow().replace(minute=0, second=0, microsecond=0)
    return [now - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]


def _newest(organization: Organization | None) -> Subquery:
    """The newest deliveries of the hours that are shown, at most MOST. Where there are more, also
    those of the newest MOST tries: a flood that waits must not hide what became of all others."""
    since = first_id_of(_hours()[0])
    asked = select(Delivery.id).where(Delivery.id >= since)
    if organization is not None:
        asked = asked.where(Delivery.organization_id == organization.id)
    newest = asked.order_by(Delivery.id.desc()).limit(MOST)
    ids = newest.subquery()
    if counting.count(asked).is_more:
        ids = union(select(ids.c.id), _newest_tried(organization)).subquery()
    return (
        select(Delivery.id, Delivery.state, Delivery.created_at, Delivery.accepted_at)
        .join(ids, ids.c.id == Delivery.id)
        .where(Delivery.id >= since)
        .subquery()
    )


def _newest_tried(organization: Organization | None) -> Select[Any]:
    """Ids of the deliveries of the newest tries, at most MOST."""
    tries = select(Attempt.delivery_id)
    if organization is None:
        tries = tries.order_by(Attempt.id.desc())
    else:
        own = Attempt.organization_id == organization.id
        tries = tries.where(own).order_by(Attempt.started_at.desc())
    newest = tries.limit(MOST).subquery()
    return select(newest.c.delivery_id)


def _deferred(organization: Organization | None) -> tuple[Count, Count]:
    """What is due for another try, and what is not yet."""
    now = utcnow()
    deferred = Delivery.state == State.DEFERRED
    of_any = Delivery.priority.in_([int(priority) for priority in Priority])
    due, later = (
        counting.count(backlog.by_owner(deferred, of_any, when, organization=organization))
        for when in (Delivery.next_attempt_at <= now, Delivery.next_attempt_at > now)
    )
    return due, later


def _in_state(organization: Organization | None, state: State) -> Select[Any]:
    rows = select(Delivery.created_at).where(Delivery.state == state)
    if organization is not None:
        rows = rows.where(Delivery.organization_id == organization.id)
    return rows
