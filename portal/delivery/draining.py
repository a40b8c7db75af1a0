"""When the mail that waits will be through: from what was handed over in the last minutes, and no
sooner than the senders' own limits let it. Bounded reads; an estimate, and none where too little
went out to tell."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from sqlalchemy import ColumnElement, func, select, true

from portal.clock import utcnow
from portal.delivery import backlog, limits
from portal.delivery.counting import MOST, Count, first_id_of
from portal.delivery.models import Attempt, AttemptOutcome, Delivery
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import effective
from portal.settings.effective import NoSender
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import Scope

# The rate is that of the mail accepted in so long a time, and of no fewer than these.
_LOOK_BACK = timedelta(minutes=5)
_FEWEST = 5
_LONGEST = timedelta(days=30)


@dataclass(frozen=True)
class Drain:
    """`waiting` is what can leave now. `per_minute` None: not known; `done_at` None: not known, or
    nothing waits. Where more waits than was counted, it is not done before `done_at`."""

    waiting: Count
    per_minute: float | None = None
    done_at: datetime | None = None


def of_sender(sender: Sender) -> Drain:
    """What waits for this sender to hand it over; while it fails nothing can be told."""
    waiting = backlog.due_by(Scope(sender.organization_id), sender)
    if sender.consecutive_failures or not sender.enabled:
        return Drain(waiting)
    return _drain(waiting, Delivery.sender_id == sender.id, sender.organization_id, sender)


def of_organization(organization: Organization, waiting: Count) -> Drain:
    """The organization's mail that is due, by whichever sender."""
    chosen = effective.choose(organization)
    sender = None if isinstance(chosen, NoSender) else chosen
    return _drain(waiting, true(), organization.id, sender)


def at_host(waiting: Count) -> Drain:
    """Everyone's mail that is due."""
    return _drain(waiting, true(), None, None)


def _drain(
    waiting: Count, mine: ColumnElement[bool], organization_id: object, sender: Sender | None
) -> Drain:
    """`sender`: the one that all of it is to leave by."""
    if not waiting:
        return Drain(waiting)
    now = utcnow()
    per_minute = _rate(now, mine, organization_id)
    if per_minute is None:
        return Drain(waiting)
    done_at = now + min(timedelta(minutes=waiting.number / per_minute), _LONGEST)
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    if version is not None and version.per_day is not None:
        room_at = limits.room_of_day(version.sender_id, version.per_day, waiting.number)
        done_at = max(done_at, min(room_at, now + _LONGEST))
    return Drain(waiting, per_minute, done_at)


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
