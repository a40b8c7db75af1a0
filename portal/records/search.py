"""Searching sending records, and finding one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import selectinload

from portal import newest_first
from portal.delivery.models import Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.newest_first import PAGE, Page
from portal.validation import address_key


@dataclass(frozen=True)
class Filters:
    """What a page is narrowed to; all of them together. None: not narrowed.

    `since` is included, `until` is not; both aware. `sender`, `kind`, `resource` (name or link)
    and `recipient` match whole, `text` any part of subject or recipient. `organization_id` counts
    for reads of the whole host only.
    """

    state: State | None = None
    kind: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    resource: str | None = None
    message_id: str | None = None
    notification_id: uuid.UUID | None = None
    text: str | None = None
    level: Level | None = None
    reason: str | None = None
    organization_id: uuid.UUID | None = None


def search(
    organization: Organization,
    filters: Filters,
    *,
    limit: int = PAGE,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page[Delivery]:
    """A page of the organization's records: those older than `after`, or next to `newer_than`."""
    own = select(Delivery).where(Delivery.organization_id == organization.id)
    own = own.where(*_conditions(filters))
    return newest_first.page(own, Delivery.id, limit, after=after, newer_than=newer_than)


def search_at_host(
    filters: Filters,
    *,
    limit: int = PAGE,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
) -> Page[Delivery]:
    """A page of all records: those of every organization and of the host itself."""
    every = select(Delivery)
    if filters.organization_id is not None:
        every = every.where(Delivery.organization_id == filters.organization_id)
    every = every.where(*_conditions(filters))
    return newest_first.page(every, Delivery.id, limit, after=after, newer_than=newer_than)


def find(organization: Organization, delivery_id: uuid.UUID) -> Delivery | None:
    """One record of the organization with its attempts."""
    return _one(
        select(Delivery).where(
            Delivery.organization_id == organization.id, Delivery.id == delivery_id
        )
    )


def find_at_host(delivery_id: uuid.UUID) -> Delivery | None:
    """One record of anyone with its attempts."""
    return _one(select(Delivery).where(Delivery.id == delivery_id))


def _one(row: Select[Any]) -> Delivery | None:
    found: Delivery | None = db.session.scalar(row.options(selectinload(Delivery.attempts)))
    return found


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (Delivery.state, filters.state),
        (Delivery.kind, filters.kind),
        (Delivery.sender, filters.sender),
        (Delivery.payload_id, filters.notification_id),
        (Delivery.level, filters.level),
        (Delivery.reason, filters.reason),
    ):
        if value is not None:
            yield column == value
    if filters.recipient is not None:
        yield Delivery.recipient.in_(_spellings(filters.recipient))
    if filters.message_id is not None:
        yield Delivery.message_id == f"<{filters.message_id.strip().strip('<>')}>"
    if filters.since is not None:
        yield Delivery.created_at >= filters.since
    if filters.until is not None:
        yield Delivery.created_at < filters.until
    if filters.resource is not None:
        yield or_(Delivery.resource == filters.resource, Delivery.resource_url == filters.resource)
    if filters.text:
        yield or_(
            Delivery.subject.icontains(filters.text, autoescape=True),
            Delivery.recipient.icontains(filters.text, autoescape=True),
        )


def _spellings(address: str) -> set[str]:
    """The address as given and as it is stored: a domain always in lower case."""
    local, at, domain = address.strip().rpartition("@")
    return {address.strip(), f"{local}{at}{domain.lower()}", address_key(address)}
