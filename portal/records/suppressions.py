"""The suppression list as people and systems see it: pages of it, one entry, and lifting."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from portal import newest_first
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.delivery import counting, suppressions
from portal.delivery.counting import Count
from portal.delivery.models import Delivery, State
from portal.delivery.suppressions import BOUNCED, Suppression
from portal.extensions import db
from portal.newest_first import PAGE, Page
from portal.settings.scope import Scope


def search(
    scope: Scope,
    *,
    address: str | None = None,
    text: str | None = None,
    limit: int = PAGE,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page[Suppression]:
    """A page of the list of this scope: entries older than `after`, or next to `newer_than`.

    `address` matches whole, in any case of letters; `text` any part of an address.
    """
    own = select(Suppression).where(Suppression.organization_id == scope.organization_id)
    if address is not None:
        own = own.where(Suppression.key == suppressions.key_of(scope.organization_id, address))
    return _page(own, text, limit, after=after, newer_than=newer_than)


def search_everywhere(
    *,
    text: str | None = None,
    limit: int = PAGE,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page[Suppression]:
    """A page of the lists of all organizations and of the host."""
    return _page(select(Suppression), text, limit, after=after, newer_than=newer_than)


def count(scope: Scope) -> Count:
    """How many addresses stand on the list of this scope."""
    own = Suppression.organization_id == scope.organization_id
    return counting.count(select(Suppression.id).where(own))


def count_everywhere() -> Count:
    """How many stand on all lists."""
    return counting.count(select(Suppression.id))


def of_delivery(delivery: Delivery) -> Suppression | None:
    """The entry that stopped this mail, or that this mail led to; None where there is none now."""
    if not _has_to_do_with_it(delivery):
        return None
    key = suppressions.key_of(delivery.organization_id, delivery.recipient)
    return db.session.scalar(select(Suppression).where(Suppression.key == key))


def was_stopped(delivery: Delivery) -> bool:
    """Whether the list is why this mail was not sent."""
    return delivery.state is State.SUPPRESSED and delivery.reason == BOUNCED


def lift(scope: Scope, ids: Sequence[uuid.UUID], *, actor: Actor) -> list[str]:
    """Take these entries off the list of the scope, so that new mail is tried again. Returns their
    addresses. Ids of another scope, or of nothing, are passed over.

    Mail that was stopped stays so: it was never promised to go later.
    """
    rows = db.session.scalars(
        select(Suppression)
        .where(
            Suppression.organization_id == scope.organization_id,
            Suppression.id.in_(ids),
        )
        # In one order for everybody: two people with the same selection wait for each other.
        .order_by(Suppression.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        _record(row, actor)
        db.session.delete(row)
    return [row.address for row in rows]


def _page(
    rows: Select[Any],
    text: str | None,
    limit: int,
    *,
    after: uuid.UUID | None,
    newer_than: uuid.UUID | None,
) -> Page[Suppression]:
    if text:
        rows = rows.where(Suppression.address.icontains(text, autoescape=True))
    return newest_first.page(rows, Suppression.id, limit, after=after, newer_than=newer_than)


def _has_to_do_with_it(delivery: Delivery) -> bool:
    return delivery.state is State.FAILED or was_stopped(delivery)


def _record(row: Suppression, actor: Actor) -> None:
    """Without the address: an audit entry outlives a person who was erased."""
    audit.record(
        actor,
        "suppression.lifted",
        organization_id=row.organization_id,
        object_type="suppression",
        object_id=row.id,
        changes={
            "cause": {"before": row.cause.value, "after": None},
            "refusals": {"before": row.refusals, "after": 0},
            "delivery": {"before": str(row.delivery_id), "after": None},
        },
    )
