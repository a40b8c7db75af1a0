"""Faults of a sender or its server: mail is held with nothing burnt until it is repaired."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.clock import utcnow
from portal.delivery import claims, sweeping
from portal.delivery.health import Pauses
from portal.delivery.models import Attempt, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import (
    aim,
    all_in,
    allow,
    begin,
    enqueue,
    hurry,
    outcomes,
    record,
    take_turns,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, drop, reply

ANN, BEN = Addressee("ann@x.test"), Addressee("ben@x.test")
LOGIN = {"authentication": "password", "username": "globex", "allow_clear_login": True}


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def sender_of(organization: Organization) -> Sender:
    found = senders.find(Scope.of(organization), "main")
    assert found
    return found


@pytest.mark.fault(17, 51)
def test_a_refused_login_is_tried_once_and_burns_nothing_of_any_mail(
    globex: Organization, ledger: Ledger
) -> None:
    with SmtpServer(auth={"globex": "right"}, require_auth=True) as server:
        allow(server)
        aim(Scope.of(globex), "main", server, secret="wrong", **LOGIN)
        ids = ledger.note(enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(20))))
        take_turns()
        assert len([line for line in server.commands if line.startswith("AUTH")]) == 1
        assert all_in(State.HELD, ids)()
        assert {record(one).reason for one in ids} == {"sender_failing"}
        assert sum(len(outcomes(one)) for one in ids) == 1
        attempt = db.session.scalars(select(Attempt)).one()
        assert (attempt.cause, attempt.code) == ("auth_refused", 535)
        assert attempt.is_route_fault
        assert attempt.sender_version == "main/2"
        assert sender_of(globex).last_failure_cause == "auth_refused"

        new = ledger.note(enqueue(globex, ANN))
        take_turns()
        assert len([line for line in server.commands if line.startswith("AUTH")]) == 1
        assert all_in(State.HELD, new)()

        aim(Scope.of(globex), "main", server, secret="right", **LOGIN)
        take_turns()
        assert all_in(State.ACCEPTED, ids + new)()
        assert record(ids[-1]).attempts[-1].sender_version == "main/3"
        ledger.check(server)


ROUTE_FAULTS = [
    ({"greeting": reply("554 5.3.2 not you")}, "greeting_refused"),
    ({"greeting": drop()}, "no_greeting"),
    ({"mail": reply("550 5.7.1 sender refused")}, "sender_refused"),
    ({"mail": reply("553 5.7.1 not your address")}, "sender_refused"),
    ({"ehlo": reply("550 no"), "helo": reply("550 no")}, "ehlo_refused"),
]


@pytest.mark.fault(10, 20, 50)
@pytest.mark.parametrize(("script", "cause"), ROUTE_FAULTS)
def test_a_fault_of_the_route_holds_its_mail_until_a_probe_finds_it_repaired(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    script: Mapping[str, Any],
    cause: str,
) -> None:
    server.set_script(**script)
    ids = ledger.note(enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(5))))
    take_turns()
    assert all_in(State.HELD, ids)()
    assert sorted(len(outcomes(one)) for one in ids) == [0, 0, 0, 0, 1]
    tried = next(record(one) for one in ids if record(one).attempts)
    assert tried.attempts[0].cause == cause
    assert tried.attempts[0].is_route_fault

    before = server.connections
    hurry()
    sweeping.probe_paused_senders()
    take_turns()
    assert server.connections == before + 1, "one probe at a time"
    assert all_in(State.HELD, ids)()
    assert sender_of(globex).consecutive_failures == 2

    server.set_script()
    hurry()
    sweeping.probe_paused_senders()
    take_turns()
    assert all_in(State.ACCEPTED, ids)()
    assert sender_of(globex).consecutive_failures == 0
    assert sender_of(globex).next_probe_at is None
    assert len(server.messages) == 5
    ledger.check(server)


def test_a_server_that_is_not_there_holds_the_mail_and_nothing_expires_early(
    globex: Organization, cast: Cast
) -> None:
    with SmtpServer() as gone:
        pass
    allow(gone)
    aim(Scope.of(globex), "main", gone)
    (one,) = enqueue(globex, ANN)
    take_turns()
    assert (record(one).state, record(one).reason) == (State.HELD, "sender_failing")
    assert record(one).attempts[0].cause == "connect_refused"
    assert record(one).expires_at > utcnow() + timedelta(hours=23)


def test_only_one_mail_at_a_time_probes_a_paused_sender(
    globex: Organization, server: SmtpServer
) -> None:
    sender = sender_of(globex)
    sender.next_probe_at = utcnow() - timedelta(seconds=1)
    db.session.commit()
    enqueue(globex, ANN, BEN)
    first, second = claims.claim("one", limit=2)

    assert begin(first) is not None
    assert begin(second) is None
    assert record(second.delivery_id).state is State.HELD
    assert not Pauses().may_send(sender_of(globex).id, utcnow())
    db.session.rollback()


def test_a_probe_that_is_put_off_leaves_the_sender_paused(
    globex: Organization, server: SmtpServer
) -> None:
    sender = sender_of(globex)
    sender.next_probe_at = utcnow() - timedelta(seconds=1)
    sender.consecutive_failures = 3
    db.session.commit()
    server.set_script(greeting=[reply("421 4.3.2 busy")])
    (one,) = enqueue(globex, ANN)
    take_turns()
    assert record(one).state is State.DEFERRED
    assert sender_of(globex).consecutive_failures == 3
    assert sender_of(globex).next_probe_at is not None
    assert sender_of(globex).last_success_at is None


def test_a_fault_of_one_organizations_server_leaves_the_hosts_sender_alone(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    server.set_script(**{"mail:alerts@globex.test": reply("550 5.7.1 sender refused")})
    (theirs,) = enqueue(globex, ANN)
    (ours,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    assert record(theirs).state is State.HELD
    assert record(ours).state is State.ACCEPTED
    host = senders.find(HOST, "platform")
    assert host and host.next_probe_at is None
