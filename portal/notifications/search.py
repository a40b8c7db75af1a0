"""Lists of alerts and approvals: one page, newest first, by keyset."""

import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_, select

from portal.clock import utcnow
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications.models import (
    Alert,
    AlertStatus,
    Approval,
    ApprovalState,
    Approver,
    Severity,
)

PAGE = 50
Thing = TypeVar("Thing", Alert, Approval)


@dataclass(frozen=True)
class Page(Generic[Thing]):
    """Newest first. `next` goes on as `after`, `newer` as `newer_than`; None at the ends."""

    items: list[Thing]
    next: uuid.UUID | None
    newer: uuid.UUID | None


@dataclass(frozen=True)
class AlertFilters:
    """All of them together. `text`: any part of title or resource."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    text: str | None = None


@dataclass(frozen=True)
class ApprovalFilters:
    """All of them together. `waits_for`: pending, and this person is a named approver."""

    state: ApprovalState | None = None
    waits_for: uuid.UUID | None = None
    text: str | None = None


def alerts(
    organization: Organization,
    filters: AlertFilters,
    *,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
    limit: int = PAGE,
) -> Page[Alert]:
    rows = select(Alert).where(Alert.organization_id == organization.id)
    if filters.status is not None:
        rows = rows.where(Alert.status == filters.status)
    if filters.severity is not None:
        rows = rows.where(Alert.severity == filters.severity)
    if filters.text:
        rows = rows.where(
            or_(
                Alert.title.icontains(filters.text, autoescape=True),
                Alert.resource.icontains(filters.text, autoescape=True),
            )
        )
    return _page(Alert, rows, after=after, newer_than=newer_than, limit=limit)


def approvals(
    organization: Organization,
    filters: ApprovalFilters,
    *,
    after: uuid.UUID | None = None,
    newer_than: uuid.UUID | None = None,
    limit: int = PAGE,
) -> Page[Approval]:
    rows = select(Approval).where(Approval.organization_id == organization.id)
    if filters.state is not None:
        rows = rows.where(_is_in(filters.state))
    if filters.waits_for is not None:
        mine = select(Approver.approval_id).where(
            Approver.organization_id == organization.id, Approver.user_id == filters.waits_for
        )
        rows = rows.where(_is_in(ApprovalState.PENDING), Approval.id.in_(mine))
    if filters.text:
        rows = rows.where(
            or_(
                Approval.title.icontains(filters.text, autoescape=True),
                Approval.resource.icontains(filters.text, autoescape=True),
            )
        )
    return _page(Approval, rows, after=after, newer_than=newer_than, limit=limit)


def _is_in(state: ApprovalState) -> ColumnElement[bool]:
    """In this state now: what ran out counts as expired before a job has written it down."""
    now = utcnow()
    if state is ApprovalState.PENDING:
        return and_(Approval.state == state, Approval.expires_at > now)
    if state is ApprovalState.EXPIRED:
        ran_out = and_(Approval.state == ApprovalState.PENDING, Approval.expires_at <= now)
        return or_(Approval.state == state, ran_out)
    return Approval.state == state


def _page(
    model: type[Thing],
    rows: Select[Any],
    *,
    after: uuid.UUID | None,
    newer_than: uuid.UUID | None,
    limit: int,
) -> Page[Thing]:
    if newer_than is not None:
        rising = rows.where(model.id > newer_than).order_by(model.id).limit(limit + 1)
        found = list(db.session.scalars(rising))
        # Fewer than a page are newer: that is the first page, which is read from its top.
        if len(found) > limit:
            items = found[:limit][::-1]
            return Page(items, items[-1].id, items[0].id)
    if after is not None:
        rows = rows.where(model.id < after)
    found = list(db.session.scalars(rows.order_by(model.id.desc()).limit(limit + 1)))
    items = found[:limit]
    return Page(
        items,
        items[-1].id if len(found) > limit else None,
        items[0].id if items and after is not None else None,
    )
