"""When the mail that waits will be through: from what was handed over in the last minutes, and no
sooner than the senders' own limits let it. Bounded reads; an estimate, and none where too little
went out to tell."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, true

from portal.clock import utcnow
from portal.delivery import backlog, limits
from portal.delivery.counting import MOST, Count, first_id_of
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Priority
from portal.settings import effective
from portal.settings.effective import NoSender
from portal.settings.models import MailSettings, Mode, Sender, SenderVersion, VersionState
from portal.settings.scope import HOST, Scope

# The rate is that of the mail accepted in so long a time, and of no fewer than these.
_LOOK_BACK = timedelta(minutes=5)
_FEWEST = 5
_LONGEST = timedelta(days=30)
# Of the organizations' senders, so many are looked at: those that need the longest.
_MOST_SENDERS = 20
_MINUTES_OF_A_DAY = 24 * 60


@dataclass(frozen=True)
class Drain:
    """`waiting` is what can leave now. `per_minute` None: not known; `done_at` None: not known, or
    nothing waits. Where more waits than was counted, it is not done before `done_at`."""

    waiting: Count
    per_minute: float | None = None
    done_at: datetime | None = None


class _Load(NamedTuple):
    """What waits for a sender that hands over only so many a minute or a day."""

    sender_id: uuid.UUID
    per_minute: int | None
    per_day: int | None
    number: int


def of_sender(sender: Sender) -> Drain:
    """What waits for this sender to hand it over; while it fails nothing can be told."""
    waiting = backlog.due_by(Scope(sender.organization_id), sender)
    if sender.consecutive_failures or not sender.enabled:
        return Drain(waiting)
    drain = _drain(waiting, Delivery.sender_id == sender.id, sender.organization_id)
    return _within_limits(drain, _load(sender, waiting.number))


def of_organization(organization: Organization, waiting: Count) -> Drain:
    """The organization's mail that is due, by whichever sender."""
    drain = _drain(waiting, true(), organization.id)
    chosen = effective.choose(organization)
    if isinstance(chosen, NoSender):
        return drain
    return _within_limits(drain, _load(chosen, waiting.number))


def at_host(waiting: Count) -> Drain:
    """Everyone's mail that is due: through when the last sender is through with its own."""
    return _within_limits(_drain(waiting, true(), None), _loads_of_all())


def _drain(waiting: Count, mine: ColumnElement[bool], organization_id: object) -> Drain:
    if not waiting:
        return Drain(waiting)
    now = utcnow()
    per_minute = _rate(now, mine, organization_id)
    if per_minute is None:
        return Drain(waiting)
    done_at = now + min(timedelta(minutes=waiting.number / per_minute), _LONGEST)
    return Drain(waiting, per_minute, done_at)


def _within_limits(drain: Drain, loads: Iterator[_Load]) -> Drain:
    """No sooner than each of these senders may have handed over what waits for it."""
    if drain.done_at is None:
        return drain
    now = utcnow()
    done_at = max([drain.done_at, *(_done_at(load, now) for load in loads)])
    return replace(drain, done_at=min(done_at, now + _LONGEST))


def _done_at(load: _Load, now: datetime) -> datetime:
    days, minutes = now, timedelta()
    if load.per_day is not None:
        days = limits.room_of_day(load.sender_id, load.per_day, load.number)
    if load.per_minute is not None:
        minutes = timedelta(minutes=load.number / load.per_minute)
    return max(days, now + minutes)


def _load(sender: Sender, number: int) -> Iterator[_Load]:
    version = effective.version_of(sender, VersionState.ACTIVE)
    if version is not None and number:
        yield _Load(sender.id, version.per_minute, version.per_day, number)


def _loads_of_all() -> Iterator[_Load]:
    """Of the host's default sender, which carries the mail of many organizations, and of theirs:
    what of the first 10,000 that wait is theirs."""
    host = effective.choose(None)
    if not isinstance(host, NoSender):
        yield from _load(host, backlog.due_by(HOST, host).number)
    due = (
        select(Delivery.organization_id)
        .where(Delivery.state == State.QUEUED, Delivery.priority != int(Priority.SECURITY))
        .limit(MOST)
        .subquery()
    )
    settings = MailSettings.organization_id == due.c.organization_id
    version = SenderVersion.sender_id == MailSettings.default_sender_id
    limited = (SenderVersion.sender_id, SenderVersion.per_minute, SenderVersion.per_day)
    number = func.count()
    a_day = func.coalesce(SenderVersion.per_day, SenderVersion.per_minute * _MINUTES_OF_A_DAY)
    rows = db.session.execute(
        select(*limited, number)
        .select_from(due)
        .join(MailSettings, settings)
        .join(SenderVersion, version)
        .where(
            MailSettings.mode == Mode.OWN,
            SenderVersion.state == VersionState.ACTIVE,
            a_day.is_not(None),
        )
        .group_by(*limited)
        .order_by((number * 1.0 / a_day).desc())
        .limit(_MOST_SENDERS)
    )
    yield from (_Load(*row) for row in rows)


def _rate(now: datetime, mine: ColumnElement[bool], organization_id: object) -> float | None:
    """Mails a minute, among the newest 10,000 tries; of no sender more than it may."""
    began = now - _LOOK_BACK
    tries = select(Attempt.delivery_id, Attempt.started_at, Attempt.outcome)
    if organization_id is None:
        tries = tries.where(Attempt.id >= first_id_of(began)).order_by(Attempt.id.desc())
    else:
        own = Attempt.organization_id == organization_id
        tries = tries.where(own, Attempt.started_at >= began)
        tries = tries.order_by(Attempt.started_at.desc())
    newest = tries.limit(MOST).subquery()
    rows = db.session.execute(
        select(Delivery.sender_id, func.count(), func.min(newest.c.started_at))
        .select_from(newest)
        .join(Delivery, Delivery.id == newest.c.delivery_id)
        .where(newest.c.outcome == AttemptOutcome.ACCEPTED, mine)
        .group_by(Delivery.sender_id)
    ).all()
    if sum(accepted for _, accepted, _ in rows) < _FEWEST:
        return None
    minutes = max((now - min(first for _, _, first in rows)).total_seconds(), 1.0) / 60
    most = _most_per_minute([sender_id for sender_id, _, _ in rows])
    return float(
        sum(min(accepted / minutes, most.get(sender_id, inf)) for sender_id, accepted, _ in rows)
    )


def _most_per_minute(sender_ids: Sequence[uuid.UUID | None]) -> dict[uuid.UUID | None, int]:
    """By sender, how many a minute it may; those without such a limit are not among it."""
    active = select(SenderVersion.sender_id, SenderVersion.per_minute).where(
        SenderVersion.sender_id.in_([one for one in sender_ids if one]),
        SenderVersion.state == VersionState.ACTIVE,
        SenderVersion.per_minute.is_not(None),
    )
    return {row.sender_id: row.per_minute for row in db.session.execute(active)}
