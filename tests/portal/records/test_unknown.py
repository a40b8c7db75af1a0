"""A person decides about mail whose outcome nobody knows."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.counting import Count
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, DeliverySecret, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import links
from portal.identity.links import LinkRefused
from portal.identity.models import LinkPurpose, Role
from portal.kinds import BY_KEY
from portal.notifications import accounts, approval_requests, approvals
from portal.records import unknown
from portal.records.unknown import Act
from portal.settings.scope import HOST, Scope
from portal.validation import Invalid
from tests.cast import Cast
from tests.portal.records.records import organization_of, told

Open = scoped_session[Session]
AGO = timedelta(hours=3)


def lost(delivery: Delivery) -> Delivery:
    """Its final dot went out three hours ago, and then the server was gone."""
    delivery.state, delivery.reason = State.UNKNOWN, "lost_after_dot"
    delivery.attempt_count, delivery.created_at = 1, utcnow() - AGO
    attempt = Attempt(
        organization_id=delivery.organization_id,
        delivery_id=delivery.id,
        number=1,
        started_at=utcnow() - AGO,
        ms=1500,
        outcome=AttemptOutcome.UNKNOWN,
    )
    db.session.add(attempt)
    db.session.commit()
    return delivery


def newest(kind: str) -> Delivery:
    found = db.session.scalars(
        select(Delivery).where(Delivery.kind == kind).order_by(Delivery.id.desc()).limit(1)
    )
    return found.one()


def token_of(delivery: Delivery, name: str) -> str:
    return outbox.secrets_of(delivery.id)[name].split("/")[-1]


def audited() -> list[tuple[str, Any]]:
    rows = db.session.scalars(
        select(AuditEntry).where(AuditEntry.object_type == "delivery").order_by(AuditEntry.id)
    )
    return [(row.action, row.changes["state"]["after"]) for row in rows]


def test_what_arrived_counts_from_its_last_try_and_is_decided_once(
    session: Open, cast: Cast
) -> None:
    acme = organization_of(cast.acme)
    mail = lost(told(cast.acme, "Disk full")[0])
    assert unknown.count(acme) == unknown.count_at_host() == Count(1)
    unknown.confirm(mail, actor=OPERATOR)
    session.commit()
    (attempt,) = mail.attempts
    assert (mail.state, mail.reason) == (State.ACCEPTED, unknown.CONFIRMED)
    assert mail.accepted_at == attempt.started_at + timedelta(milliseconds=1500)
    for act in (unknown.confirm, unknown.send_anyway):
        with pytest.raises(Invalid, match="known: it is accepted"):
            act(mail, actor=OPERATOR)
    assert audited() == [("delivery.confirmed", "accepted")]
    assert unknown.count(acme) == Count(0)


def test_what_is_sent_anyway_is_due_at_once_marked_and_lives_as_long_as_new_mail(
    session: Open, cast: Cast
) -> None:
    mail = lost(told(cast.acme, "Disk full")[0])
    mail.expires_at = utcnow() - timedelta(hours=1)
    unknown.send_anyway(mail, actor=OPERATOR)
    session.commit()
    assert (mail.state, mail.reason, mail.may_be_duplicate) == (
        State.QUEUED,
        unknown.SENT_AGAIN,
        True,
    )
    assert mail.next_attempt_at is not None and mail.next_attempt_at <= utcnow()
    assert mail.expires_at > utcnow() + timedelta(hours=23)
    assert audited() == [("delivery.sent_again", "queued")]


def test_a_selection_leaves_what_is_not_there_and_what_cannot_be_decided_so(
    session: Open, cast: Cast
) -> None:
    mine = [lost(told(cast.acme, f"Disk {n}")[0]) for n in range(2)]
    theirs = lost(told(cast.globex, "Disk full")[0])
    known = told(cast.acme, "Pump")[0]
    ids = [one.id for one in (*mine, mine[0], theirs, known)]
    scope = Scope.of(organization_of(cast.acme))
    found = unknown.decide(scope, ids, Act.SEND, actor=OPERATOR)
    session.commit()
    assert found.done == 2
    assert [left.delivery.id for left in found.left] == [known.id]
    assert theirs.state is State.UNKNOWN
    assert unknown.decide(HOST, ids, Act.CONFIRM, actor=OPERATOR) == unknown.Decided(0, [])


def test_security_mail_is_not_repeated_a_new_link_takes_its_place(
    session: Open, cast: Cast
) -> None:
    accounts.ask_recovery(cast.carol.email, ip=None)
    mail = lost(newest("security.password_recovery"))
    old = token_of(mail, "recovery_url")
    unknown.send_anyway(mail, actor=OPERATOR)
    session.commit()
    assert (mail.state, mail.reason) == (State.CANCELLED, unknown.NEW_LINK)
    assert session.get(DeliverySecret, mail.id) is None
    fresh = newest("security.password_recovery")
    assert fresh.id != mail.id and fresh.recipient == cast.carol.email
    assert links.find(LinkPurpose.RECOVERY, token_of(fresh, "recovery_url"))
    with pytest.raises(LinkRefused):
        links.find(LinkPurpose.RECOVERY, old)
    assert audited() == [("delivery.replaced", "cancelled")]


def test_an_invitation_is_mailed_with_a_new_link_until_it_is_withdrawn(
    session: Open, cast: Cast
) -> None:
    acme = organization_of(cast.acme)
    made = accounts.invite(
        acme, email="new@acme.test", name="New", role=Role.MEMBER, actor=OPERATOR
    )
    mail = lost(newest("security.invitation"))
    made.link.created_at = utcnow() - AGO
    unknown.send_anyway(mail, actor=OPERATOR)
    session.commit()
    fresh = newest("security.invitation")
    assert fresh.id != mail.id
    with pytest.raises(LinkRefused):
        links.find(LinkPurpose.INVITATION, made.token)
    assert links.find(LinkPurpose.INVITATION, token_of(fresh, "invitation_url"))
    session.delete(made.link)
    with pytest.raises(Invalid, match="withdrawn"):
        unknown.send_anyway(lost(fresh), actor=OPERATOR)


def test_what_nobody_needs_any_more_is_not_sent(session: Open, cast: Cast) -> None:
    acme = organization_of(cast.acme)
    wanted = approval_requests.parse_request(title="Deploy", approvers=[cast.bob.email])
    asked = approval_requests.request_approval(acme, wanted, actor=OPERATOR)
    session.commit()
    mail = lost(asked.deliveries[0])
    approvals.withdraw(asked.approval, actor=OPERATOR)
    with pytest.raises(Invalid, match="withdrawn"):
        unknown.send_anyway(mail, actor=OPERATOR)
    data = {"sender_name": "platform", "server": "x:25", "level": "host", "asked_by": "Rita"}
    (test_mail,) = outbox.enqueue(
        None, BY_KEY["mail.test"], data=data, addressees=[Addressee("rita@gatepost.test")]
    ).deliveries
    with pytest.raises(Invalid, match="from the page of the sender"):
        unknown.send_anyway(lost(test_mail), actor=OPERATOR)
    unknown.confirm(test_mail, actor=OPERATOR)
    assert test_mail.state is State.ACCEPTED
