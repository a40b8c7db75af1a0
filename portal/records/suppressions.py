"""The suppression list as people and systems see it: pages of it, one entry, and lifting."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.delivery import counting, suppressions
from portal.delivery.counting import Count
from portal.delivery.models import Delivery, State
from portal.delivery.suppressions import BOUNCED, Suppression
from portal.extensions import db
from portal.settings.scope import Scope

PAGE = 50


@dataclass(frozen=True)
class Page:
    """Entries, newest first. `next` is what to give as `after`; None: this was the last page.
    `newer` is what to give as `newer_than`; None: this is the first page."""

    items: list[Suppression]
    next: uuid.UUID | None
    newer: uuid.UUID | None = None


def search(
    scope: Scope,
    *,
    address: str | None = None,
    text: str | None = None,
    limit: int = PAGE,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page:
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
) -> Page:
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
) -> Page:
    if text:
        rows = rows.where(Suppression.address.icontains(text, autoescape=True))
    if newer_than is not None and (page := _newer(rows, limit, newer_than)) is not None:
        return page
    if after is not None:
        rows = rows.where(Suppression.id < after)
    found = list(db.session.scalars(rows.order_by(Suppression.id.desc()).limit(limit + 1)))
    items = found[:limit]
    return Page(
        items,
        items[-1].id if len(found) > limit else None,
        items[0].id if items and after is not None else None,
    )


def _newer(rows: Select[Any], limit: int, newer_than: uuid.UUID) -> Page | None:
    """The page before. None: it would be the first one, which is read from its top."""
    rising = rows.where(Suppression.id > newer_than).order_by(Suppression.id).limit(limit + 1)
    found = list(db.session.scalars(rising))
    if len(found) <= limit:
        return None
    items = found[:limit][::-1]
    return Page(items, items[-1].id, items[0].id)


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
