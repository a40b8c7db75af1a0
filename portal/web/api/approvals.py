"""Approvals: request, read, withdraw. Deciding is for people, on their page."""

import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from flask import abort
from pydantic import Field

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import approval_requests, approvals, resources
from portal.notifications.models import Approval, ApprovalState
from portal.notifications.recipients import MOST
from portal.records import people_told, search
from portal.web import guard
from portal.web.api import inputs, shapes
from portal.web.api.alerts import ResourceInput
from portal.web.api.calls import call
from portal.web.api.deliveries import announced, shown
from portal.web.api.inputs import Input
from portal.web.api.times import GivenTime
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires

_LATER = "This is not available yet; leave it out."
_MOST_DELIVERIES = 200


class ApprovalInput(Input):
    """`approvers` are members by address, or audiences such as role:administrator."""

    refused: ClassVar[Mapping[str, str]] = {"remind_after": _LATER, "callback_url": _LATER}

    title: str
    approvers: list[str] = Field(max_length=MOST)
    text: str | None = None
    resource: ResourceInput | None = None
    policy: str | int = "any"
    expires_at: GivenTime | None = None
    requested_by: str | None = None

    def check(self) -> None:
        _ = self.asked

    @cached_property
    def asked(self) -> approval_requests.Request:
        given: dict[str, Any] = self.given()
        given["resource"] = resources.parse(given.get("resource"))
        return approval_requests.parse_request(**given)


@blueprint.post("/approvals")
@blueprint.post("/organizations/<slug:organization>/approvals")
@call(takes=ApprovalInput, gives=shapes.ApprovalShape, status=202)
@requires(Permission.APPROVALS_REQUEST)
def request_approval(organization: Organization) -> shapes.ApprovalShape:
    """Ask named members by mail to approve something."""
    asked = inputs.body(ApprovalInput).asked
    requested = approval_requests.request_approval(
        organization, asked, actor=guard.principal().actor
    )
    letters = announced(organization, requested.told)
    return shapes.ApprovalShape.of(requested.approval, letters, requested.left_out)


@blueprint.get("/approvals/<uuid:approval_id>")
@blueprint.get("/organizations/<slug:organization>/approvals/<uuid:approval_id>")
@call(gives=shapes.ApprovalShape)
@requires(Permission.APPROVALS_READ)
def read_approval(organization: Organization, approval_id: uuid.UUID) -> shapes.ApprovalShape:
    """One approval with its decisions and the letters that ask for them."""
    return _shape(organization, _approval(organization, approval_id))


@blueprint.post("/approvals/<uuid:approval_id>/withdraw")
@blueprint.post("/organizations/<slug:organization>/approvals/<uuid:approval_id>/withdraw")
@call(takes=Input, gives=shapes.ApprovalShape)
@requires(Permission.APPROVALS_REQUEST)
def withdraw_approval(organization: Organization, approval_id: uuid.UUID) -> shapes.ApprovalShape:
    """Take a pending request back; 409 once it was decided or has expired."""
    inputs.body(Input)
    approval = _approval(organization, approval_id)
    won = approvals.withdraw(approval, actor=guard.principal().actor)
    if not won and approval.state is not ApprovalState.WITHDRAWN:
        abort(409, f"This approval is {approval.state.value} already; nothing was withdrawn.")
    return _shape(organization, approval)


def _approval(organization: Organization, approval_id: uuid.UUID) -> Approval:
    return approvals.find(organization, approval_id) or abort(404)


def _shape(organization: Organization, approval: Approval) -> shapes.ApprovalShape:
    wanted = search.Filters(notification_id=approval.notification_id)
    letters = search.search(organization, wanted, limit=_MOST_DELIVERIES).items
    left_out = people_told.left_out_of(
        organization, approval.notification_id, limit=_MOST_DELIVERIES
    )
    return shapes.ApprovalShape.of(approval, shown(organization, letters), left_out)
