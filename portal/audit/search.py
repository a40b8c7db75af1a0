"""Reading the audit table: one page of it, newest first."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.extensions import db

PAGE = 50


@dataclass(frozen=True)
class Filters:
    """What a page is narrowed to. `actor_ids` None: everybody. Times are aware; `until` is
    excluded."""

    action: str | None = None
    actor_ids: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AuditPage:
    """Entries newest first. `newer` and `older` are the ids to go on from, None at the ends."""

    entries: list[AuditEntry]
    newer: uuid.UUID | None
    older: uuid.UUID | None


def search(
    organization_id: uuid.UUID | None,
    filters: Filters,
    *,
    before: uuid.UUID | None = None,
    after: uuid.UUID | None = None,
) -> AuditPage:
    """A page of one log (None: the host's): entries older than `before`, or newer than `after`."""
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
    if after is not None:
        rising = query.where(AuditEntry.id > after).order_by(AuditEntry.id)
        found = list(db.session.scalars(rising.limit(PAGE + 1)))
        entries = found[:PAGE][::-1]
        return AuditPage(
            entries,
            entries[0].id if len(found) > PAGE else None,
            entries[-1].id if entries else None,
        )
    if before is not None:
        query = query.where(AuditEntry.id < before)
    found = list(db.session.scalars(query.order_by(AuditEntry.id.desc()).limit(PAGE + 1)))
    entries = found[:PAGE]
    return AuditPage(
        entries,
        entries[0].id if before is not None and entries else None,
        entries[-1].id if len(found) > PAGE else None,
    )


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
