"""What a server answers, and what the delivery, its attempt and the sender then say."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from portal.clock import utcnow
from portal.delivery import claims, loop
from portal.delivery.models import Delivery, DeliverySecret, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.models import Sender
from portal.settings.scope import Scope
from tests.delivering import (
    TEST_MAIL,
    deliver,
    enqueue,
    hurry,
    outcomes,
    record,
    take_turns,
    until,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, drop, read_body, reply, then

ANN, BEN = Addressee("ann@x.test"), Addressee("ben@x.test")
SEALED = Addressee("ann@x.test", secrets={"link": "https://x.test"})


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def sender_of(organization: Organization) -> Sender:
    found = senders.find(Scope.of(organization), "main")
    assert found
    return found


def test_the_final_250_is_acceptance_with_its_queue_id(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[reply("250 2.0.0 Ok: queued as 4FzJ2x")])
    (one,) = ledger.note(enqueue(globex, SEALED))
    take_turns()
    delivery = record(one)
    assert (delivery.state, delivery.reason) == (State.ACCEPTED, None)
    assert (delivery.code, delivery.reply) == (250, "2.0.0 Ok: queued as 4FzJ2x")
    assert delivery.accepted_at is not None
    assert db.session.get(DeliverySecret, one) is None
    assert sender_of(globex).last_success_at is not None
    ledger.check(server)


FINAL = [
    ({"rcpt": reply("550 5.1.1 no such user")}, "recipient_refused", "rcpt", 550, "5.1.1"),
    ({"rcpt": reply("553 5.1.2 bad address")}, "recipient_refused", "rcpt", 553, "5.1.2"),
    ({"data": reply("554 5.7.1 no, thanks")}, "content_refused", "data", 554, "5.7.1"),
    ({"dot": reply("554 5.6.0 spam")}, "content_refused", "dot", 554, "5.6.0"),
    ({"mail": reply("552 5.3.4 too big")}, "size_exceeded", "mail", 552, "5.3.4"),
    ({"dot": reply("552 5.3.4 too big")}, "size_exceeded", "dot", 552, "5.3.4"),
]


@pytest.mark.fault(21, 23, 26, 30)
@pytest.mark.parametrize(("script", "cause", "phase", "code", "enhanced"), FINAL)
def test_a_final_refusal_of_mail_or_recipient_fails_that_mail_alone(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    script: Mapping[str, Any],
    cause: str,
    phase: str,
    code: int,
    enhanced: str,
) -> None:
    server.set_script(**{name: [behaviour] for name, behaviour in script.items()})
    (refused,) = ledger.note(enqueue(globex, SEALED))
    (sound,) = ledger.note(enqueue(globex, BEN))
    take_turns()

    delivery = record(refused)
    (attempt,) = delivery.attempts
    assert (delivery.state, delivery.reason, delivery.code) == (State.FAILED, cause, code)
    assert (attempt.phase, attempt.cause, attempt.code) == (phase, cause, code)
    assert attempt.enhanced_code == enhanced
    assert not attempt.is_route_fault
    assert db.session.get(DeliverySecret, refused) is None
    assert record(sound).state is State.ACCEPTED
    assert sender_of(globex).next_probe_at is None
    ledger.check(server)


LATER = [
    ({"rcpt": reply("450 4.2.0 greylisted")}, "recipient_temporary", 450),
    ({"rcpt": reply("451 4.7.1 come back later")}, "recipient_temporary", 451),
    ({"rcpt": reply("452 4.2.2 mailbox full")}, "recipient_temporary", 452),
    ({"mail": reply("451 4.3.0 not now")}, "sender_temporary", 451),
    ({"data": reply("451 4.3.0 not now")}, "content_temporary", 451),
    ({"dot": reply("451 4.3.0 not now")}, "content_temporary", 451),
    ({"greeting": reply("421 4.3.2 busy")}, "busy", 421),
    ({"mail": then(reply("421 4.3.2 closing"), drop())}, "busy", 421),
    ({"data": drop()}, "connection_lost", None),
    ({"data": reply("250 what")}, "protocol_error", 250),
    ({"mail": reply("999 nonsense")}, "protocol_error", None),
]


@pytest.mark.fault(9, 19, 22, 26, 30)
@pytest.mark.parametrize(("script", "cause", "code"), LATER)
def test_a_temporary_refusal_defers_and_the_next_try_is_accepted(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    script: Mapping[str, Any],
    cause: str,
    code: int | None,
) -> None:
    server.set_script(**{name: [behaviour] for name, behaviour in script.items()})
    (one,) = ledger.note(enqueue(globex, SEALED))
    take_turns()
    delivery = record(one)
    assert (delivery.state, delivery.reason) == (State.DEFERRED, cause)
    assert delivery.attempts[0].code == code
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > utcnow()
    assert sender_of(globex).next_probe_at is None

    hurry()
    take_turns()
    assert outcomes(one) == ["deferred", "accepted"]
    assert record(one).state is State.ACCEPTED
    assert len(server.messages) == 1
    ledger.check(server)


def test_a_loss_in_the_middle_of_the_content_is_no_riddle(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(body=[then(read_body(100), reply("451 4.3.0 stop"), drop())])
    (one,) = ledger.note(enqueue(globex, ANN))
    take_turns()
    assert record(one).state is State.DEFERRED
    hurry()
    take_turns()
    assert record(one).state is State.ACCEPTED
    assert not record(one).may_be_duplicate
    ledger.check(server)


@pytest.mark.fault(22)
@pytest.mark.parametrize("code", [450, 451])
def test_a_greylisted_recipient_is_tried_again_after_five_minutes_at_the_earliest(
    globex: Organization, server: SmtpServer, code: int
) -> None:
    server.set_script(rcpt=[reply(f"{code} 4.7.1 greylisted")])
    before = utcnow()
    (one,) = enqueue(globex, ANN)
    take_turns()
    again = record(one).next_attempt_at
    assert again and again >= before + timedelta(minutes=5)


def test_an_alert_refused_for_now_is_tried_again_within_a_minute(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(mail=[reply("451 4.3.0 not now")])
    (one,) = enqueue(globex, ANN)
    take_turns()
    again = record(one).next_attempt_at
    assert again and again <= utcnow() + timedelta(minutes=1)


@pytest.mark.fault(55)
def test_mail_whose_next_try_would_come_too_late_expires(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(rcpt=[reply("450 4.7.1 greylisted")])
    (one,) = enqueue(globex, SEALED, expires_at=utcnow() + timedelta(minutes=2))
    take_turns()
    assert (record(one).state, record(one).reason) == (State.EXPIRED, "expired")
    assert db.session.get(DeliverySecret, one) is None


@pytest.mark.fault(28)
def test_an_alert_whose_answer_was_lost_goes_out_once_more_and_is_marked(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[drop()])
    (one,) = ledger.note(enqueue(globex, SEALED))
    take_turns()
    assert (record(one).state, record(one).reason) == (State.DEFERRED, "lost_after_dot")
    assert record(one).may_be_duplicate
    hurry()
    take_turns()
    assert outcomes(one) == ["unknown", "accepted"]
    assert server.messages[0].message["Message-ID"] == record(one).message_id
    ledger.check(server)


@pytest.mark.fault(28)
def test_a_copy_that_arrived_although_its_answer_was_lost_is_explained(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    # Half a line only: the server took the mail, and its answer never came whole.
    server.set_script(dot=[_take_and_drop])
    (one,) = ledger.note(enqueue(globex, ANN))
    take_turns()
    hurry()
    take_turns()
    assert len(server.messages) == 2
    assert len({message.message["Message-ID"] for message in server.messages}) == 1
    assert record(one).may_be_duplicate
    ledger.check(server)


@pytest.mark.fault(28)
def test_an_alert_whose_answer_was_lost_twice_is_not_sent_a_third_time(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=drop())
    (one,) = ledger.note(enqueue(globex, ANN))
    take_turns()
    hurry()
    take_turns()
    hurry()
    take_turns()
    assert outcomes(one) == ["unknown", "unknown"]
    assert record(one).state is State.UNKNOWN
    ledger.check(server)


@pytest.mark.fault(28)
def test_a_test_mail_whose_answer_was_lost_stays_unknown(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[drop()])
    (one,) = ledger.note(enqueue(globex, ANN, kind="mail.test", data=TEST_MAIL))
    take_turns()
    hurry()
    take_turns()
    assert (record(one).state, record(one).reason) == (State.UNKNOWN, "lost_after_dot")
    assert outcomes(one) == ["unknown"]
    assert not record(one).may_be_duplicate
    ledger.check(server)


@pytest.mark.fault(31)
@pytest.mark.parametrize("quit_", [drop(), reply("421 4.3.2 too late"), reply("554 no")])
def test_a_failing_quit_is_no_failure(
    globex: Organization, ledger: Ledger, server: SmtpServer, quit_: Any
) -> None:
    server.set_script(quit=quit_)
    (one,) = ledger.note(enqueue(globex, ANN))
    take_turns()
    until(lambda: "QUIT" in server.commands)
    assert outcomes(one) == ["accepted"]
    assert len(server.messages) == 1
    ledger.check(server)


@pytest.mark.fault(33)
def test_acceptance_followed_by_junk_is_acceptance_and_the_session_is_left(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    """The next envelope went out with the dot, so the junk seems to answer it: it is put off."""
    server.set_script(dot=[reply("250 taken", "250 and one more")])
    ids = ledger.note(enqueue(globex, ANN, BEN))
    take_turns()
    hurry()
    take_turns()
    assert server.connections == 2
    assert [outcomes(one)[-1] for one in ids] == ["accepted"] * 2
    ledger.check(server)


@pytest.mark.fault(56)
@pytest.mark.parametrize("commit_went_through", [False, True])
def test_an_answer_that_cannot_be_stored_at_first_is_kept_and_stored(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    commit_went_through: bool,
) -> None:
    """The database goes away at the commit; whether that took place nobody knows."""
    real = db.session.commit
    failures = [OperationalError("COMMIT", {}, Exception("the server closed the connection"))]

    def commit() -> None:
        if server.messages and failures:
            if commit_went_through:
                real()
            raise failures.pop()
        real()

    monkeypatch.setattr(loop, "_STORE_AGAIN", 0.0)
    (one,) = ledger.note(enqueue(globex, ANN))
    (claimed,) = claims.claim("one", limit=1)
    monkeypatch.setattr(db.session, "commit", commit)
    deliver(claimed)
    monkeypatch.undo()

    assert failures == []
    assert outcomes(one) == ["accepted"]
    assert record(one).state is State.ACCEPTED
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 1
    ledger.check(server)


def _take_and_drop(talk: Any) -> None:
    talk._last_code = 250
    drop()(talk)
