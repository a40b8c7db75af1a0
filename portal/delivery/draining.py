"""When the mail that waits will be through: from what its senders handed over in the last minutes,
and no sooner than their own limits let it. Bounded reads; an estimate, and none where too little
went out to tell."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nlargest
from math import inf
from typing import NamedTuple

from sqlalchemy import ColumnElement, Subquery, func, select, true, union_all

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
# Of the senders, so many are looked at: those that need the longest.
_MOST_SENDERS = 20
_MINUTES_OF_A_DAY = 24 * 60


@dataclass(frozen=True)
class Drain:
    """`waiting`: what was not handed over. `per_minute` None: not known; `done_at` None: not known,
    or nothing waits. Where more waits than was counted, it is not done before `done_at`."""

    waiting: Count
    per_minute: float | None = None
    done_at: datetime | None = None


class _Load(NamedTuple):
    """What waits for a sender, and how many it hands over a minute or a day at most."""

    sender_id: uuid.UUID
    per_minute: int | None
    per_day: int | None
    number: int


class _Rate(NamedTuple):
    """How many mails a sender handed over lately, and how fast."""

    accepted: int
    per_minute: float


_Rates = Mapping[uuid.UUID | None, _Rate]


def of_sender(sender: Sender) -> Drain:
    """What waits for this sender to hand it over; while it fails nothing can be told."""
    waiting = backlog.waiting_by(Scope(sender.organization_id), sender)
    if sender.consecutive_failures or not sender.enabled:
        return Drain(waiting)
    rates = _rates(Delivery.sender_id == sender.id, sender.organization_id)
    return _drain(waiting, rates, _load(sender, waiting.number))


def of_organization(organization: Organization, waiting: Count) -> Drain:
    """The organization's mail that is due, by whichever sender."""
    chosen = effective.choose(organization)
    loads = [] if isinstance(chosen, NoSender) else _load(chosen, waiting.number)
    return _drain(waiting, _rates(true(), organization.id), loads)


def at_host(waiting: Count) -> Drain:
    """Everyone's mail that is due: through when the last sender is through with its own. How fast
    others were, which have nothing left, says nothing of it."""
    loads = _loads_of_all() if waiting else []
    busy = {load.sender_id for load in loads}
    found = _rates(true(), None) if busy else {}
    of_busy: _Rates = {sender_id: rate for sender_id, rate in found.items() if sender_id in busy}
    return _drain(waiting, of_busy, loads)


def _drain(waiting: Count, rates: _Rates, loads: Sequence[_Load]) -> Drain:
    if not waiting or sum(rate.accepted for rate in rates.values()) < _FEWEST:
        return Drain(waiting)
    now = utcnow()
    per_minute = sum(rate.per_minute for rate in rates.values())
    alone = [_done_at(load, now, rates) for load in _longest(loads, rates)]
    done_at = max([now + _in_minutes(waiting.number / per_minute), *alone])
    return Drain(waiting, per_minute, min(done_at, now + _LONGEST))


def _done_at(load: _Load, now: datetime, rates: _Rates) -> datetime:
    """When this sender may have handed over what waits for it."""
    days = now
    if load.per_day is not None:
        days = limits.room_of_day(load.sender_id, load.per_day, load.number)
    return max(days, now + _in_minutes(_minutes(load, rates)))


def _longest(loads: Sequence[_Load], rates: _Rates) -> list[_Load]:
    def needed(load: _Load) -> float:
        of_days = load.number / load.per_day * _MINUTES_OF_A_DAY if load.per_day else 0.0
        return max(of_days, _minutes(load, rates))

    return nlargest(_MOST_SENDERS, loads, key=needed)


def _minutes(load: _Load, rates: _Rates) -> float:
    """How long it takes as fast as the sender is, where that is known, and may be."""
    fastest = inf if load.per_minute is None else float(load.per_minute)
    rate = rates.get(load.sender_id)
    if rate is not None and rate.accepted >= _FEWEST:
        fastest = min(fastest, rate.per_minute)
    return load.number / fastest


def _in_minutes(minutes: float) -> timedelta:
    return min(timedelta(minutes=min(minutes, 1e6)), _LONGEST)


def _load(sender: Sender, number: int) -> list[_Load]:
    version = effective.version_of(sender, VersionState.ACTIVE)
    if version is None or not number:
        return []
    return [_Load(sender.id, version.per_minute, version.per_day, number)]


def _loads_of_all() -> list[_Load]:
    """Of the host's default sender, which carries the mail of many organizations, and of theirs:
    what of the first 10,000 that wait is theirs."""
    host = effective.choose(None)
    of_host = []
    if not isinstance(host, NoSender):
        of_host = _load(host, backlog.due_by(HOST, host).number)
    due = _due_of_organizations()
    settings = MailSettings.organization_id == due.c.organization_id
    version = SenderVersion.sender_id == MailSettings.default_sender_id
    limited = (SenderVersion.sender_id, SenderVersion.per_minute, SenderVersion.per_day)
    rows = db.session.execute(
        select(*limited, func.count())
        .select_from(due)
        .join(MailSettings, settings)
        .join(SenderVersion, version)
        .where(MailSettings.mode == Mode.OWN, SenderVersion.state == VersionState.ACTIVE)
        .group_by(*limited)
    )
    return [*of_host, *(_Load(*row) for row in rows)]


def _due_of_organizations() -> Subquery:
    """The owner of each mail that is due; of what is due again, another 10,000 at most."""
    others = Delivery.priority.in_([int(one) for one in Priority if one is not Priority.SECURITY])
    states = Delivery.state.in_((State.QUEUED, State.SENDING))
    first = select(Delivery.organization_id).where(states, others).limit(MOST).subquery()
    is_due = Delivery.next_attempt_at <= utcnow()
    again = backlog.by_owner(Delivery.state == State.DEFERRED, others, is_due)
    due_again = again.limit(MOST).subquery()
    return union_all(
        select(first.c.organization_id), select(due_again.c.organization_id)
    ).subquery()


def _rates(mine: ColumnElement[bool], organization_id: object) -> _Rates:
    """By sender, from the newest 10,000 tries; of none more than it may hand over."""
    now = utcnow()
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
    most = _most_per_minute([sender_id for sender_id, _, _ in rows])
    return {
        sender_id: _Rate(
            accepted, min(_per_minute(accepted, now - first), most.get(sender_id, inf))
        )
        for sender_id, accepted, first in rows
    }


def _per_minute(accepted: int, took: timedelta) -> float:
    """Of a few alone nobody can tell how fast they went: they count as all of the time."""
    since = took if accepted >= _FEWEST else _LOOK_BACK
    return accepted / (max(since.total_seconds(), 1.0) / 60)


def _most_per_minute(sender_ids: Sequence[uuid.UUID | None]) -> dict[uuid.UUID | None, int]:
    """By sender, how many a minute it may; those without such a limit are not among it."""
    active = select(SenderVersion.sender_id, SenderVersion.per_minute).where(
        SenderVersion.sender_id.in_([one for one in sender_ids if one]),
        SenderVersion.state == VersionState.ACTIVE,
        SenderVersion.per_minute.is_not(None),
    )
    return {row.sender_id: row.per_minute for row in db.session.execute(active)}
