"""How much mail waits: what a page names before somebody removes a person or an organization."""

from sqlalchemy import func, select

from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization, User

_WAITING = (State.QUEUED, State.DEFERRED, State.HELD)


def in_organization(organization: Organization) -> int:
    """Deliveries of the organization that were accepted here and not sent yet."""
    return _count(organization)


def for_person(organization: Organization, user: User) -> int:
    """The same for one person; what other organizations send them is not counted."""
    return _count(organization, user)


def _count(organization: Organization, user: User | None = None) -> int:
    query = (
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.organization_id == organization.id, Delivery.state.in_(_WAITING))
    )
    if user is not None:
        query = query.where(Delivery.user_id == user.id)
    return db.session.scalar(query) or 0
