"""When the mail that waits will be through: from what was handed over in the last minutes. Bounded
reads; an estimate, and none where too little went out to tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, true

from portal.clock import utcnow
from portal.delivery import backlog
from portal.delivery.counting import MOST, Count, first_id_of
from portal.delivery.models import Attempt, AttemptOutcome, Delivery
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings.models import Sender
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
    return _drain(waiting, Delivery.sender_id == sender.id, sender.organization_id)


def of_organization(organization: Organization, waiting: Count) -> Drain:
    """The organization's mail that is due, by whichever sender."""
    return _drain(waiting, true(), organization.id)


def at_host(waiting: Count) -> Drain:
    """Everyone's mail that is due."""
    return _drain(waiting, true(), None)


def _drain(waiting: Count, mine: ColumnElement[bool], organization_id: object) -> Drain:
    if not waiting:
        return Drain(waiting)
    now = utcnow()
    per_minute = _rate(now, mine, organization_id)
    if per_minute is None:
        return Drain(waiting)
    lasts = min(timedelta(minutes=waiting.number / per_minute), _LONGEST)
    return Drain(waiting, per_minute, now + lasts)


def _rate(now: datetime, mine: ColumnElement[bool], organization_id: object) -> float | None:
    """Mails a minute, among the newest 10,000 tries."""
    began = now - _LOOK_BACK
    tries = select(Attempt.delivery_id, Attempt.started_at, Attempt.outcome)
    if organization_id is None:
        tries = tries.where(Attempt.id >= first_id_of(began)).order_by(Attempt.id.desc())
    else:
        own = Attempt.organization_id == organization_id
        tries = tries.where(own, Attempt.started_at >= began)
        tries = tries.order_by(Attempt.started_at.desc())
    newest = tries.limit(MOST).subquery()
    accepted, first = db.session.execute(
        select(func.count(), func.min(newest.c.started_at))
        .select_from(newest)
        .join(Delivery, Delivery.id == newest.c.delivery_id)
        .where(newest.c.outcome == AttemptOutcome.ACCEPTED, mine)
    ).one()
    if accepted < _FEWEST:
        return None
    minutes = max((now - first).total_seconds(), 1.0) / 60
    return float(accepted / minutes)
