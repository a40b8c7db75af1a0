"""Everyone whom a notification concerned: who was written to and how that went, and who was
left out and why."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity.models import Membership, Organization, Role, User
from portal.notifications.models import LeftOut

MOST = 12


@dataclass(frozen=True)
class Told:
    """One letter of the notification. `name` None and `role` None: an address, not a member."""

    delivery: Delivery
    name: str | None
    role: Role | None


@dataclass(frozen=True)
class Omitted:
    """One who gets no letter. `entry` is how the audience named them."""

    name: str | None
    entry: str
    reason: str


@dataclass(frozen=True)
class Everyone:
    """`more`: there are more than are listed here."""

    told: tuple[Told, ...]
    left_out: tuple[Omitted, ...]
    more: bool


def everyone(
    organization_id: uuid.UUID | None, notification_id: uuid.UUID | None, *, limit: int = MOST
) -> Everyone:
    """The people of one notification of the organization (None: of the host), at most `limit`
    told and as many left out."""
    if notification_id is None:
        return Everyone((), (), False)
    deliveries = list(db.session.scalars(_letters(organization_id, notification_id, limit + 1)))
    omitted = list(db.session.scalars(_left_out(organization_id, notification_id, limit + 1)))
    people = [row.user_id for row in deliveries] + [row.user_id for row in omitted]
    names = _names({user_id for user_id in people if user_id})
    roles = _roles(organization_id, names)
    return Everyone(
        tuple(Told(row, names.get(row.user_id), roles.get(row.user_id)) for row in deliveries)[
            :limit
        ],
        tuple(
            Omitted(names.get(row.user_id), row.entry.partition(":")[2] or row.entry, row.reason)
            for row in omitted
        )[:limit],
        max(len(deliveries), len(omitted)) > limit,
    )


def left_out_of(
    organization: Organization, notification_id: uuid.UUID | None, *, limit: int
) -> list[LeftOut]:
    """Who gets no letter of the notification, at most `limit`."""
    if notification_id is None:
        return []
    return list(db.session.scalars(_left_out(organization.id, notification_id, limit)))


def _letters(
    organization_id: uuid.UUID | None, notification_id: uuid.UUID, limit: int
) -> Select[Any]:
    return (
        select(Delivery)
        .where(
            Delivery.payload_id == notification_id,
            Delivery.organization_id == organization_id
            if organization_id
            else Delivery.organization_id.is_(None),
        )
        .order_by(Delivery.id)
        .limit(limit)
    )


def _left_out(
    organization_id: uuid.UUID | None, notification_id: uuid.UUID, limit: int
) -> Select[Any]:
    return (
        select(LeftOut)
        .where(
            LeftOut.notification_id == notification_id,
            LeftOut.organization_id == organization_id
            if organization_id
            else LeftOut.organization_id.is_(None),
        )
        .order_by(LeftOut.id)
        .limit(limit)
    )


def _names(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID | None, str]:
    rows = db.session.execute(select(User.id, User.name).where(User.id.in_(list(ids))))
    return {row.id: row.name for row in rows}


def _roles(
    organization_id: uuid.UUID | None, ids: Iterable[uuid.UUID | None]
) -> dict[uuid.UUID | None, Role]:
    if organization_id is None:
        return {}
    rows = db.session.execute(
        select(Membership.user_id, Membership.role).where(
            Membership.organization_id == organization_id, Membership.user_id.in_(list(ids))
        )
    )
    return {row.user_id: row.role for row in rows}
