"""How much mail waits: what a page names before somebody removes a person or an organization."""

from sqlalchemy import select

from portal.delivery import counting
from portal.delivery.counting import Count
from portal.delivery.models import Delivery, State
from portal.identity.models import Organization, User

_WAITING = (State.QUEUED, State.DEFERRED, State.HELD)


def in_organization(organization: Organization) -> Count:
    """Deliveries of the organization that were accepted here and not sent yet."""
    return _count(organization)


def for_person(organization: Organization, user: User) -> Count:
    """The same for one person; what other organizations send them is not counted."""
    return _count(organization, user)


def _count(organization: Organization, user: User | None = None) -> Count:
    rows = select(Delivery.id).where(
        Delivery.organization_id == organization.id, Delivery.state.in_(_WAITING)
    )
    if user is not None:
        rows = rows.where(Delivery.user_id == user.id)
    return counting.count(rows)
