"""Approvals: asked by mail, decided once, told to everyone concerned."""

import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import SYSTEM, Actor, ActorType
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.models import Delivery, DeliverySecret, State
from portal.extensions import db
from portal.identity.models import User
from portal.identity.tokens import digest
from portal.notifications import approval_requests, approvals, search
from portal.notifications.models import Approval, ApprovalState, Approver, Verdict
from portal.notifications.search import ApprovalFilters
from portal.validation import Invalid
from tests.cast import Cast, Person, Tenant
from tests.portal.records.records import organization_of

Open = scoped_session[Session]


def asked(
    tenant: Tenant, *approvers: Person, by: Person | None = None
) -> approval_requests.Requested:
    request = approval_requests.parse_request(
        title="Release billing 4.12.0?", approvers=[one.email for one in approvers]
    )
    requester = db.session.get(User, by.id) if by else None
    outcome = approval_requests.request_approval(
        organization_of(tenant), request, actor=SYSTEM, requester=requester
    )
    db.session.commit()
    return outcome


def approver_of(approval: Approval, person: Person) -> Approver:
    return next(one for one in approval.approvers if one.user_id == person.id)


def told(kind: str) -> list[str]:
    found = select(Delivery.recipient).where(Delivery.kind == kind)
    return sorted(db.session.scalars(found))


def test_each_approver_gets_a_link_of_their_own_and_its_hash_alone_is_stored(
    session: Open, cast: Cast
) -> None:
    requested = asked(cast.acme, cast.alice, cast.bob)
    links = set()
    for delivery in requested.deliveries:
        secrets = outbox.secrets_of(delivery.id)
        token = secrets["approve_url"].split("/decide/")[1].split("?")[0]
        assert secrets["approve_url"].endswith("?verdict=approved")
        assert secrets["reject_url"] == secrets["approve_url"].replace("approved", "rejected")
        approver = approvals.approver_by_token(token)
        assert approver is not None and approver.user_id == delivery.user_id
        assert approver.token_hash == digest(token)
        links.add(token)
        everything = f"{delivery.payload.data}{delivery.subject}{approver.token_hash}"
        assert token not in everything
    assert len(links) == 2


def test_a_decision_ends_it_and_tells_the_requester_and_the_other_approvers(
    session: Open, cast: Cast
) -> None:
    approval = asked(cast.acme, cast.alice, cast.bob, by=cast.dave).approval
    outcome = approvals.decide(
        approver_of(approval, cast.bob), Verdict.REJECTED, comment="Not today", actor=SYSTEM
    )
    session.commit()
    assert outcome.won and outcome.approval.state is ApprovalState.REJECTED
    assert told("approval.rejected") == [cast.alice.email, cast.dave.email]
    waiting = session.scalars(select(Delivery).where(Delivery.kind == "approval.requested"))
    assert {delivery.state for delivery in waiting} == {State.CANCELLED}
    assert session.scalars(select(DeliverySecret)).all() == []


def test_the_first_decision_counts_and_a_later_one_changes_nothing(
    session: Open, cast: Cast
) -> None:
    approval = asked(cast.acme, cast.alice, cast.bob).approval
    first, second = approver_of(approval, cast.alice), approver_of(approval, cast.bob)
    assert approvals.decide(first, Verdict.APPROVED, comment=None, actor=SYSTEM).won
    session.commit()
    late = approvals.decide(second, Verdict.REJECTED, comment="No", actor=SYSTEM)
    session.commit()
    assert not late.won and late.approval.state is ApprovalState.APPROVED
    assert (second.decision, second.comment) == (None, None)


def test_a_hundred_decisions_at_once_give_one(app: Flask, cast: Cast) -> None:
    with app.app_context():
        approval = asked(cast.acme, cast.alice, cast.bob).approval
        approval_id, seats = approval.id, [approver.id for approver in approval.approvers]
    together, wins = threading.Barrier(20), Counter[Verdict]()

    def call(number: int) -> None:
        verdict = Verdict.APPROVED if number % 2 else Verdict.REJECTED
        with app.app_context():
            together.wait()
            for _ in range(5):
                seat = db.session.get_one(Approver, seats[number % 2])
                if approvals.decide(seat, verdict, comment=None, actor=SYSTEM).won:
                    wins[verdict] += 1
                db.session.commit()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wins.total() == 1
    with app.app_context():
        decided = [
            one.decision
            for one in db.session.get_one(Approval, approval_id).approvers
            if one.decision
        ]
        assert decided == list(wins)
        outcomes = ("approval.approved", "approval.rejected")
        entries = select(AuditEntry.action).where(AuditEntry.action.in_(outcomes))
        assert len(db.session.scalars(entries).all()) == 1
        assert len(told(f"approval.{decided[0].value}")) == 1


def test_what_ran_out_is_not_decided_any_more(session: Open, cast: Cast) -> None:
    approval = asked(cast.acme, cast.alice).approval
    approval.expires_at = utcnow() - timedelta(seconds=1)
    session.commit()
    assert approvals.state_now(approval) is ApprovalState.EXPIRED
    seat = approver_of(approval, cast.alice)
    assert not approvals.decide(seat, Verdict.APPROVED, comment=None, actor=SYSTEM).won
    session.rollback()
    assert approvals.expire_due() == 1
    assert session.get_one(Approval, approval.id).state is ApprovalState.EXPIRED
    assert approvals.expire_due() == 0


def test_what_was_withdrawn_is_not_decided_any_more(session: Open, cast: Cast) -> None:
    approval = asked(cast.acme, cast.alice).approval
    assert approvals.withdraw(approval, actor=SYSTEM)
    assert not approvals.withdraw(approval, actor=SYSTEM)
    seat = approver_of(approval, cast.alice)
    assert not approvals.decide(seat, Verdict.APPROVED, comment=None, actor=SYSTEM).won
    assert session.scalars(select(DeliverySecret)).all() == []


def test_a_visit_is_counted_and_decides_nothing(session: Open, cast: Cast) -> None:
    approval = asked(cast.acme, cast.alice).approval
    seat = approver_of(approval, cast.alice)
    for _ in range(3):
        approvals.note_visit(seat.id)
    session.expire_all()
    assert (seat.visits, seat.approval.state) == (3, ApprovalState.PENDING)


@pytest.mark.parametrize("stranger", ["eve@elsewhere.test", "carol@globex.test"])
def test_only_members_can_be_asked(session: Open, cast: Cast, stranger: str) -> None:
    request = approval_requests.parse_request(
        title="Release?", approvers=["bob@acme.test", stranger]
    )
    with pytest.raises(Invalid) as refused:
        approval_requests.request_approval(organization_of(cast.acme), request, actor=SYSTEM)
    (error,) = refused.value.errors
    assert error.field == "approvers" and stranger in error.message


def test_a_role_asks_those_who_can_get_mail_and_leaves_out_the_others(
    session: Open, cast: Cast
) -> None:
    session.get_one(User, cast.bob.id).verified_at = None
    session.commit()
    request = approval_requests.parse_request(title="Release?", approvers=["role:member"])
    made = approval_requests.request_approval(organization_of(cast.acme), request, actor=SYSTEM)
    assert [delivery.recipient for delivery in made.deliveries] == [cast.dave.email]


def test_a_member_without_a_verified_address_cannot_be_asked_by_name(
    session: Open, cast: Cast
) -> None:
    session.get_one(User, cast.bob.id).verified_at = None
    session.commit()
    request = approval_requests.parse_request(title="Release?", approvers=[cast.bob.email])
    with pytest.raises(Invalid, match="no verified address"):
        approval_requests.request_approval(organization_of(cast.acme), request, actor=SYSTEM)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "Release\u2028now"}, "title"),
        ({"approvers": []}, "approvers"),
        ({"policy": "all"}, "policy"),
        ({"expires_at": utcnow() - timedelta(minutes=1)}, "expires_at"),
        ({"expires_at": utcnow() + timedelta(days=91)}, "expires_at"),
    ],
)
def test_what_cannot_be_asked_is_refused(values: dict[str, object], field: str) -> None:
    sound: dict[str, object] = {"title": "Release?", "approvers": ["bob@acme.test"]}
    with pytest.raises(Invalid) as refused:
        approval_requests.parse_request(**(sound | values))  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]


def test_a_system_asks_in_its_own_name(session: Open, cast: Cast) -> None:
    request = approval_requests.parse_request(title="Release?", approvers=[cast.alice.email])
    ci = Actor(ActorType.TOKEN, str(uuid.uuid4()), "192.0.2.9", "ci")
    made = approval_requests.request_approval(organization_of(cast.acme), request, actor=ci)
    assert (made.approval.requested_by, made.approval.requester_id) == ("ci", None)


def test_a_list_tells_what_waits_for_whom(session: Open, cast: Cast) -> None:
    acme = organization_of(cast.acme)
    for_alice, for_bob = asked(cast.acme, cast.alice).approval, asked(cast.acme, cast.bob).approval
    ran_out = asked(cast.acme, cast.alice).approval
    ran_out.expires_at = utcnow() - timedelta(seconds=1)
    session.commit()
    for filters, expected in (
        (ApprovalFilters(), {for_alice, for_bob, ran_out}),
        (ApprovalFilters(waits_for=cast.alice.id), {for_alice}),
        (ApprovalFilters(state=ApprovalState.PENDING), {for_alice, for_bob}),
        (ApprovalFilters(state=ApprovalState.EXPIRED), {ran_out}),
        (ApprovalFilters(text="BILLING"), {for_alice, for_bob, ran_out}),
        (ApprovalFilters(state=ApprovalState.APPROVED), set()),
    ):
        assert set(search.approvals(acme, filters).items) == expected, filters
    assert search.approvals(organization_of(cast.globex), ApprovalFilters()).items == []
