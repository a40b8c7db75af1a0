"""Addresses whose mailbox is not there get no more mail: whose list, for how long, and what still
goes."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import claims, suppressions, sweeping
from portal.delivery.models import Delivery, State
from portal.delivery.outbox import Addressee
from portal.delivery.suppressions import BOUNCED, Listed, Suppression
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.smtp.address_faults import AddressFault
from portal.smtp.values import Failure, Phase
from tests.cast import Cast
from tests.delivering import begin, enqueue, hurry, outcomes, record, take_turns
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply

SECRETS = {"link": "https://x.test"}
GONE = Addressee("Ann.Gone@x.test", secrets=SECRETS)
SPELLED_OTHERWISE = Addressee("ann.gone@x.test", secrets=SECRETS)
NO_SUCH_USER = reply("550 5.1.1 <Ann.Gone@x.test>: User unknown")
INVITATION = {
    "person_name": "Ann",
    "organization_name": "Globex",
    "role": "member",
    "invited_by": "Carol",
}
LINK = {"invitation_url": "https://x.test/1"}


def listed() -> list[Suppression]:
    db.session.rollback()
    return list(db.session.scalars(select(Suppression).order_by(Suppression.id)))


def said(one: uuid.UUID) -> tuple[State, str | None]:
    return record(one).state, record(one).reason


def days_later(days: int) -> None:
    for entry in listed():
        entry.refused_at -= timedelta(days=days)
    db.session.commit()


def asked_for(server: SmtpServer, address: str) -> int:
    return sum(line.lower().startswith(f"rcpt to:<{address.lower()}>") for line in server.commands)


@pytest.mark.fault(23)
def test_an_address_that_a_server_calls_unknown_gets_no_more_mail_of_that_organization(
    acme: Organization, globex: Organization, ledger: Ledger, server: SmtpServer, cast: Cast
) -> None:
    server.set_script(rcpt=[reply("450 4.3.0 not now"), NO_SUCH_USER])
    (waiting,) = ledger.note(enqueue(globex, GONE))
    take_turns()
    assert record(waiting).state is State.DEFERRED
    (told,) = ledger.note(enqueue(globex, GONE))
    take_turns()
    assert said(told) == (State.FAILED, "recipient_refused")
    (entry,) = listed()
    assert (entry.organization_id, entry.address, entry.delivery_id) == (
        globex.id,
        "Ann.Gone@x.test",
        told,
    )
    assert (entry.cause, entry.code, entry.enhanced_code) == (
        AddressFault.NO_SUCH_MAILBOX,
        550,
        "5.1.1",
    )
    assert entry.reply == "5.1.1 <Ann.Gone@x.test>: User unknown"

    tried = asked_for(server, GONE.address)
    new, fine = ledger.note(enqueue(globex, SPELLED_OTHERWISE, Addressee("ben@x.test")))
    assert said(new) == (State.SUPPRESSED, BOUNCED)
    hurry()
    take_turns()
    assert said(waiting) == said(new) == (State.SUPPRESSED, BOUNCED)
    assert (outcomes(waiting), outcomes(new)) == (["deferred"], [])
    assert record(fine).state is State.ACCEPTED
    assert asked_for(server, GONE.address) == tried

    # Another organization knows nothing of it.
    (elsewhere,) = ledger.note(enqueue(acme, Addressee(GONE.address, cast.bob.id)))
    take_turns()
    assert record(elsewhere).state is State.ACCEPTED
    audited = select(AuditEntry.action, AuditEntry.organization_id).where(
        AuditEntry.object_type == "suppression"
    )
    assert db.session.execute(audited).all() == [("suppression.added", globex.id)]
    ledger.check(server)


def test_it_is_tried_again_after_a_day_and_never_again_after_the_third_refusal(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(rcpt=NO_SUCH_USER)
    for refusal in (1, 2, 3):
        letter = Addressee(GONE.address, secrets=LINK)
        (one,) = enqueue(globex, GONE)
        take_turns()
        assert record(one).state is State.FAILED
        # Neither what is under way nor security mail makes it worse on the same day.
        (two,) = enqueue(globex, letter, kind="security.invitation", data=INVITATION)
        take_turns()
        assert record(two).state is State.FAILED
        (entry,) = listed()
        assert (entry.refusals, entry.delivery_id) == (refusal, one)
        assert entry.is_for_good is (refusal == 3)
        (stopped,) = enqueue(globex, GONE)
        assert said(stopped) == (State.SUPPRESSED, BOUNCED)
        days_later(2)
    (stopped,) = enqueue(globex, GONE)
    assert said(stopped) == (State.SUPPRESSED, BOUNCED)
    assert listed()[0].stops_mail


def test_a_mailbox_that_takes_mail_after_a_day_gets_it(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(rcpt=[NO_SUCH_USER])
    enqueue(globex, GONE)
    take_turns()
    days_later(1)
    ids = [*enqueue(globex, GONE), *enqueue(globex, SPELLED_OTHERWISE)]
    take_turns()
    assert {record(one).state for one in ids} == {State.ACCEPTED}
    assert not listed()[0].stops_mail


def test_a_refusal_of_something_else_and_a_full_mailbox_stop_no_later_mail(
    globex: Organization, server: SmtpServer
) -> None:
    for behaviour in (
        {"rcpt": [reply("550 5.7.1 refused by policy")]},
        {"rcpt": [reply("552 5.2.2 mailbox full")]},
        {"dot": [reply("554 5.6.0 spam")]},
    ):
        server.set_script(**behaviour)
        (one,) = enqueue(globex, GONE)
        take_turns()
        assert record(one).state is State.FAILED
    server.set_script(dot=[reply("554 5.2.1 mailbox disabled")])
    enqueue(globex, GONE)
    assert listed() == []
    take_turns()
    assert [entry.cause for entry in listed()] == [AddressFault.MAILBOX_DISABLED]


def test_mail_of_the_host_has_a_list_of_its_own(acme: Organization, server: SmtpServer) -> None:
    server.set_script(rcpt=[NO_SUCH_USER])
    expiring = {"credential": "own_ca", "sender_name": "platform", "expires_at": None}
    kind = "mail.credential_expiring"
    (one,) = enqueue(None, GONE, kind=kind, data=expiring)
    take_turns()
    assert record(one).state is State.FAILED
    (entry,) = listed()
    assert entry.organization_id is None
    (two,) = enqueue(None, GONE, kind=kind, data=expiring)
    assert said(two) == (State.SUPPRESSED, BOUNCED)


def test_the_list_of_an_organization_goes_with_it(
    acme: Organization, globex: Organization, server: SmtpServer
) -> None:
    server.set_script(rcpt=NO_SUCH_USER)
    enqueue(globex, GONE)
    take_turns()
    late = enqueue(globex, Addressee("late@x.test"))[0]
    organizations.delete(globex, actor=OPERATOR)
    db.session.commit()
    sweeping.handle_events()
    assert listed() == []
    # The answer to a mail whose final dot was out comes after that.
    suppressions.note(
        db.session.get_one(Delivery, late),
        Failure(Phase.DOT, "content_refused", 550, "5.1.1", "5.1.1 User unknown"),
    )
    db.session.commit()
    assert listed() == []


def test_a_mail_that_is_claimed_when_its_address_is_listed_is_not_begun(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, GONE)
    (claimed,) = claims.claim("worker", limit=10)
    failure = Failure(Phase.RCPT, "recipient_refused", 550, "5.1.1", "5.1.1 User unknown")
    suppressions.note(db.session.get_one(Delivery, one), failure)
    db.session.commit()
    assert begin(claimed) is None
    assert said(one) == (State.SUPPRESSED, BOUNCED)
    assert record(one).lease_owner is None


def test_thousands_of_addresses_are_looked_up_by_their_index(app: Flask, session: object) -> None:
    alert = BY_KEY["alert.raised"]
    many = [(None, f"{number}@x.test") for number in range(12_000)]
    assert not Listed(many).stops(None, "0@x.test", alert)
    keys = [suppressions.key_of(*one) for one in many[:50]]
    wanted = select(Suppression.key).where(
        Suppression.key.in_(keys), suppressions.stops_now(utcnow())
    )
    statement = str(wanted.compile(db.engine, compile_kwargs={"literal_binds": True}))
    if db.engine.dialect.name == "sqlite":
        plan = db.session.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
        assert "SEARCH suppressions USING INDEX" in str(plan)
    else:
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.session.execute(text(f"EXPLAIN {statement}")).all()
        assert "uq_suppressions_key" in str(plan)
