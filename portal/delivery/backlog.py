"""How much mail waits for a scope's senders, and how much they handed over: numbers for pages
that say what a change will do. Each is a bounded read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all

from portal.clock import utcnow
from portal.delivery import counting
from portal.delivery.counting import MOST, Count, first_id_of
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Priority
from portal.settings import effective
from portal.settings.models import MailSettings, Mode, Sender
from portal.settings.scope import Scope

_WAITING = (State.QUEUED, State.DEFERRED, State.HELD)
_NOT_HANDED_OVER = (*_WAITING, State.SENDING)
_SECURITY = Delivery.priority == int(Priority.SECURITY)
# One by one, so that what comes behind the priority in the index is found as well.
_OTHERS = Delivery.priority.in_([int(one) for one in Priority if one is not Priority.SECURITY])


def waiting_for(scope: Scope) -> Count:
    """Mail that was accepted here and is to leave by the scope's default sender, or is leaving."""
    return _count(scope, _NOT_HANDED_OVER)


def waiting_in(organization: Organization) -> Count:
    """Mail of the organization that has not left, by whichever sender it is to."""
    mine = Delivery.organization_id == organization.id
    return counting.count(select(Delivery.id).where(mine, Delivery.state.in_(_NOT_HANDED_OVER)))


def due_by(scope: Scope, sender: Sender) -> Count:
    """Mail that leaves by this sender now: what is queued, what is due for another try, and what a
    worker has taken and no server has answered for."""
    sending = select(Delivery.id).where(Delivery.state == State.SENDING)
    if sender.organization_id is not None:
        sending = sending.where(Delivery.organization_id == sender.organization_id)
    its_own = counting.count(sending.where(Delivery.sender_id == sender.id))
    if effective.settings_of(scope).default_sender_id != sender.id:
        return its_own
    # Whose it is stands on mail that is being sent once its try has begun.
    taken = _count(scope, (State.SENDING,), Delivery.sender_id.is_(None))
    due_again = _count(scope, (State.DEFERRED,), Delivery.next_attempt_at <= utcnow())
    return its_own + taken + due_again + _count(scope, (State.QUEUED,))


def waiting_by(scope: Scope, sender: Sender) -> Count:
    """Mail that this sender has to hand over and has not: what is due, and what is held for it."""
    return due_by(scope, sender) + held_by(sender).count


def by_owner(
    *conditions: ColumnElement[bool], organization: Organization | None = None
) -> Select[Any]:
    """`id` and `organization_id` of what fits, of everyone where no organization is given. The
    index has state, priority and owner before the time: by owner, and with conditions of state and
    priority, each time is found at once, where all else would be read through, however much
    waits."""
    wanted = select(Delivery.id, Delivery.organization_id).where(*conditions)
    if organization is not None:
        return select(wanted.where(Delivery.organization_id == organization.id).subquery())
    of_organizations = wanted.where(Delivery.organization_id.in_(select(Organization.id)))
    of_host = wanted.where(Delivery.organization_id.is_(None))
    return select(union_all(of_organizations, of_host).subquery())


def waiting_on(scope: Scope, sender: Sender) -> Count:
    """Mail that would be held without this sender."""
    is_default = effective.settings_of(scope).default_sender_id == sender.id
    return _count(scope, _WAITING) if is_default else Count(0)


@dataclass(frozen=True)
class Held:
    """What a failing sender holds, and when the first of it was asked for."""

    count: Count
    since: datetime | None


def held_by(sender: Sender) -> Held:
    """Mail that waits until this sender works again."""
    rows = select(Delivery.created_at).where(
        Delivery.state == State.HELD,
        Delivery.reason == SENDER_FAILING,
        Delivery.sender_id == sender.id,
    )
    if sender.organization_id is not None:
        rows = rows.where(Delivery.organization_id == sender.organization_id)
    found = rows.limit(MOST + 1).subquery()
    number, since = db.session.execute(
        select(func.count(), func.min(found.c.created_at)).select_from(found)
    ).one()
    return Held(counting.of(number), since)


def accepted_since(scope: Scope, since: datetime) -> Count:
    """Mail of the organization, or all by the host's sender, that was asked for and accepted by a
    server since then: among the newest 10,000 that were asked for."""
    rows = select(Delivery.state, Delivery.level).where(Delivery.id >= first_id_of(since))
    if not scope.is_host:
        rows = rows.where(Delivery.organization_id == scope.organization_id)
    newest = rows.order_by(Delivery.id.desc()).limit(MOST + 1).subquery()
    counted = newest.c.state == State.ACCEPTED
    if scope.is_host:
        counted &= newest.c.level == Level.HOST
    found, read = db.session.execute(
        select(func.count().filter(counted), func.count()).select_from(newest)
    ).one()
    return Count(found, is_more=read > MOST)


def _count(scope: Scope, states: Sequence[State], *conditions: ColumnElement[bool]) -> Count:
    found = (rows.where(*conditions) for rows in _goes_by(scope, states))
    return sum((counting.count(rows) for rows in found), Count(0))


def _goes_by(scope: Scope, states: Sequence[State]) -> Iterator[Select[Any]]:
    """Statements that find it, each along an index that holds nothing else."""
    waiting = select(Delivery.id).where(Delivery.state.in_(states))
    if not scope.is_host:
        if effective.settings_of(scope).mode is Mode.OWN:
            yield waiting.where(Delivery.organization_id == scope.organization_id, _OTHERS)
        return
    yield waiting.where(_SECURITY)
    yield waiting.where(Delivery.organization_id.is_(None), _OTHERS)
    yield waiting.where(Delivery.organization_id.in_(_inheriting()), _OTHERS)


def _inheriting() -> Select[Any]:
    settings = MailSettings.organization_id == Organization.id
    inherits = or_(MailSettings.mode == Mode.INHERIT, MailSettings.id.is_(None))
    return select(Organization.id).outerjoin(MailSettings, settings).where(inherits)
