"""Reading the audit table: one page of it, newest first."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal import newest_first
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.newest_first import PAGE, Page


@dataclass(frozen=True)
class Filters:
    """What a page is narrowed to. `actor_ids` None: everybody. Times are aware; `until` is
    excluded."""

    action: str | None = None
    actor_ids: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


def search(
    organization_id: uuid.UUID | None,
    filters: Filters,
    *,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page[AuditEntry]:
    """A page of one log (None: the host's)."""
    query = select(AuditEntry).where(
        AuditEntry.organization_id.is_(None)
        if organization_id is None
        else AuditEntry.organization_id == organization_id
    )
    if filters.action:
        query = query.where(AuditEntry.action == filters.action)
    if filters.actor_ids is not None:
        query = query.where(AuditEntry.actor_id.in_(filters.actor_ids))
    if filters.since is not None:
        query = query.where(AuditEntry.at >= filters.since)
    if filters.until is not None:
        query = query.where(AuditEntry.at < filters.until)
    return newest_first.page(query, AuditEntry.id, PAGE, after=after, newer_than=newer_than)


def actions(organization_id: uuid.UUID | None) -> list[str]:
    """The actions that this log knows, in order of the alphabet."""
    return list(
        db.session.scalars(
            select(AuditEntry.action)
            .where(
                AuditEntry.organization_id.is_(None)
                if organization_id is None
                else AuditEntry.organization_id == organization_id
            )
            .distinct()
            .order_by(AuditEntry.action)
        )
    )
