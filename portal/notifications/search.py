"""Lists of alerts and approvals: one page, newest first, by keyset."""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from portal import newest_first
from portal.clock import utcnow
from portal.identity.models import Organization
from portal.newest_first import PAGE, Page
from portal.notifications.models import (
    Alert,
    AlertStatus,
    Approval,
    ApprovalState,
    Approver,
    Severity,
)


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
    return newest_first.page(rows, Alert.id, limit, after=after, newer_than=newer_than)


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
    return newest_first.page(rows, Approval.id, limit, after=after, newer_than=newer_than)


def _is_in(state: ApprovalState) -> ColumnElement[bool]:
    """In this state now: what ran out counts as expired before a job has written it down."""
    now = utcnow()
    if state is ApprovalState.PENDING:
        return and_(Approval.state == state, Approval.expires_at > now)
    if state is ApprovalState.EXPIRED:
        ran_out = and_(Approval.state == ApprovalState.PENDING, Approval.expires_at <= now)
        return or_(Approval.state == state, ran_out)
    return Approval.state == state
