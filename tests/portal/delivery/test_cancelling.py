"""What an organization deleted, a person removed or a request decided makes of mail that waits."""

import uuid
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.audit.log import OPERATOR
from portal.delivery import claims
from portal.delivery.models import DeliverySecret, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import members, organizations
from portal.identity.models import Membership, Organization
from portal.jobs import Event
from portal.notifications import approval_requests, approvals
from portal.notifications.models import Verdict
from tests.cast import Cast
from tests.delivering import all_in, deliver, enqueue, mark_dot, record, take_turns
from tests.smtp_server import SmtpServer

ANN = Addressee("ann@x.test")


def state_of(one: uuid.UUID) -> tuple[str, str | None]:
    return record(one).state.value, record(one).reason


def to(person: Any) -> Addressee:
    return Addressee(person.email, person.id)


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.fault(52)
def test_deleting_an_organization_cancels_its_mail_and_nobody_elses(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    gone = enqueue(globex, ANN, Addressee("b@x.test", secrets={"link": "https://x.test"}))
    (kept,) = enqueue(acme, to(cast.alice))
    organizations.delete(globex, actor=OPERATOR)
    db.session.commit()
    take_turns()

    assert {state_of(one) for one in gone} == {("cancelled", "organization_deleted")}
    assert record(kept).state is State.ACCEPTED
    assert rows(DeliverySecret) == 0
    assert rows(Event) == 0
    assert [message.mail_from for message in server.messages] == ["no-reply@gatepost.test"]


@pytest.mark.fault(52)
def test_mail_of_a_deleted_organization_is_cancelled_although_the_event_is_late(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, ANN)
    organizations.delete(globex, actor=OPERATOR)
    db.session.commit()
    (claimed,) = claims.claim("one", limit=1)
    deliver(claimed)
    assert state_of(one) == ("cancelled", "organization_deleted")
    assert server.connections == 0


def remove(organization: Organization, user_id: uuid.UUID) -> None:
    member = db.session.scalars(
        select(Membership).where(
            Membership.organization_id == organization.id, Membership.user_id == user_id
        )
    ).one()
    members.remove(organization, member, actor=OPERATOR)
    db.session.commit()


@pytest.mark.fault(52)
def test_removing_a_person_cancels_that_organizations_mail_to_them_alone(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    (gone,) = enqueue(acme, to(cast.dave))
    (elsewhere,) = enqueue(globex, to(cast.dave))
    (colleague,) = enqueue(acme, to(cast.bob))
    remove(acme, cast.dave.id)
    take_turns()

    assert state_of(gone) == ("cancelled", "not_a_member")
    assert all_in(State.ACCEPTED, [elsewhere, colleague])()
    assert len(server.messages) == 2


@pytest.mark.fault(52)
def test_mail_to_a_person_removed_meanwhile_is_cancelled_in_the_hands_of_a_worker(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    (one,) = enqueue(acme, to(cast.dave))
    (claimed,) = claims.claim("one", limit=1)
    remove(acme, cast.dave.id)
    deliver(claimed)
    assert state_of(one) == ("cancelled", "not_a_member")
    assert server.connections == 0


def request(acme: Organization, *approvers: str) -> tuple[Any, list[uuid.UUID]]:
    asked = approval_requests.parse_request(title="Deploy?", approvers=list(approvers))
    requested = approval_requests.request_approval(acme, asked, actor=OPERATOR)
    ids = [delivery.id for delivery in requested.deliveries]
    db.session.commit()
    return requested.approval, ids


@pytest.mark.fault(52)
def test_a_decision_cancels_the_letters_that_still_ask(
    acme: Organization, server: SmtpServer
) -> None:
    approval, ids = request(acme, "alice@acme.test", "bob@acme.test")
    approvals.decide(approval.approvers[0], Verdict.APPROVED, comment=None, actor=OPERATOR)
    db.session.commit()
    take_turns()

    assert {state_of(one) for one in ids} == {("cancelled", "decided")}
    assert rows(DeliverySecret) == 0
    (told,) = server.messages
    assert "approved" in str(told.message["Subject"]).lower()


@pytest.mark.fault(52)
def test_a_decision_stops_letters_that_a_worker_has_claimed(
    acme: Organization, server: SmtpServer
) -> None:
    approval, ids = request(acme, "alice@acme.test", "bob@acme.test")
    claimed = claims.claim("one", limit=2)
    approvals.decide(approval.approvers[0], Verdict.REJECTED, comment=None, actor=OPERATOR)
    db.session.commit()
    for one in claimed:
        deliver(one)

    assert server.connections == 0
    assert {state_of(one) for one in ids} == {("cancelled", "decided")}


def test_a_decision_does_not_deny_a_letter_whose_final_dot_may_be_out(acme: Organization) -> None:
    approval, ids = request(acme, "alice@acme.test", "bob@acme.test")
    for one in claims.claim("one", limit=1):
        mark_dot(one)
    approvals.decide(approval.approvers[0], Verdict.APPROVED, comment=None, actor=OPERATOR)
    db.session.commit()
    assert sorted(record(one).state.value for one in ids) == ["cancelled", "sending"]


def test_a_withdrawn_request_is_not_mailed_any_more(acme: Organization) -> None:
    approval, ids = request(acme, "alice@acme.test")
    approvals.withdraw(approval, actor=OPERATOR)
    db.session.commit()
    assert [state_of(one) for one in ids] == [("cancelled", "withdrawn")]
