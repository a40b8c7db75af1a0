"""How much mail waits for a scope's senders, and how much they handed over: numbers for pages
that say what a change will do."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.kinds import Priority
from portal.settings import effective
from portal.settings.models import MailSettings, Mode, Sender
from portal.settings.scope import Scope

_WAITING = (State.QUEUED, State.DEFERRED, State.HELD)


def waiting_for(scope: Scope) -> int:
    """Mail that was accepted here and is to leave by the scope's default sender."""
    return _count(_goes_by(scope), Delivery.state.in_(_WAITING))


def waiting_on(scope: Scope, sender: Sender) -> int:
    """Mail that would be held without this sender."""
    forced = and_(Delivery.forced_sender_id == sender.id, Delivery.state.in_(_WAITING))
    count = _count(forced)
    if effective.settings_of(scope).default_sender_id == sender.id:
        count += _count(
            _goes_by(scope), Delivery.state.in_(_WAITING), Delivery.forced_sender_id.is_(None)
        )
    return count


def accepted_since(scope: Scope, since: datetime) -> int:
    """Mail of the organization, or all by the host's sender, that a server accepted since then."""
    mine = (
        Delivery.level == "host"
        if scope.is_host
        else Delivery.organization_id == scope.organization_id
    )
    return _count(mine, Delivery.state == State.ACCEPTED, Delivery.accepted_at >= since)


def _goes_by(scope: Scope) -> ColumnElement[bool]:
    security = Delivery.priority == int(Priority.SECURITY)
    if not scope.is_host:
        if effective.settings_of(scope).mode is not Mode.OWN:
            return false()
        return and_(Delivery.organization_id == scope.organization_id, ~security)
    elsewhere = select(MailSettings.organization_id).where(
        MailSettings.mode != Mode.INHERIT, MailSettings.organization_id.is_not(None)
    )
    return or_(
        Delivery.organization_id.is_(None), security, Delivery.organization_id.not_in(elsewhere)
    )


def _count(*conditions: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(Delivery).where(*conditions)) or 0
