"""A request for approval with the links that were mailed, for tests of pages."""

import uuid
from dataclasses import dataclass

from flask import Flask

from portal.audit.log import SYSTEM
from portal.delivery import outbox
from portal.delivery.models import DeliverySecret
from portal.extensions import db
from portal.identity.models import User
from portal.notifications import approval_requests
from portal.notifications.models import Approval, ApprovalState
from tests.cast import Person, Tenant
from tests.portal.records.records import organization_of

TITLE = "Release billing 4.12.0?"


@dataclass(frozen=True)
class Asked:
    """The request, and the path of each approver's link by address, without a verdict."""

    app: Flask
    id: uuid.UUID
    links: dict[str, str]

    @property
    def state(self) -> ApprovalState:
        with self.app.app_context():
            return db.session.get_one(Approval, self.id).state

    @property
    def visits(self) -> int:
        with self.app.app_context():
            return sum(one.visits for one in db.session.get_one(Approval, self.id).approvers)


def ask(
    app: Flask, tenant: Tenant, *approvers: Person, by: Person | None = None, title: str = TITLE
) -> Asked:
    """Ask these people to approve something; commits."""
    with app.app_context():
        request = approval_requests.parse_request(
            title=title, approvers=[one.email for one in approvers]
        )
        made = approval_requests.request_approval(
            organization_of(tenant),
            request,
            actor=SYSTEM,
            requester=db.session.get(User, by.id) if by else None,
        )
        db.session.commit()
        links = {
            delivery.recipient: _path(outbox.secrets_of(delivery.id)["approve_url"])
            for delivery in made.deliveries
            if db.session.get(DeliverySecret, delivery.id) is not None
        }
        return Asked(app, made.approval.id, links)


def _path(url: str) -> str:
    return "/decide/" + url.split("/decide/")[1].split("?")[0]
