"""Faults that rules answer: backlogs, recoveries, missing keys, repeated calls, mail too old."""

import base64
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.config import Config
from portal.delivery.models import Delivery, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import members, organizations
from portal.identity.models import Organization, Role, User
from portal.notifications.models import Alert
from portal.settings.models import Sender
from portal.settings.scope import Scope
from tests.cast import Cast
from tests.delivering import (
    aim,
    all_in,
    enqueue,
    hurry,
    outcomes,
    record,
    take_turns,
    until,
    worker_thread,
)
from tests.faults.calls import Caller, count
from tests.faults.routes import alice, held, later, people
from tests.ledger import Ledger
from tests.portal.cli.commands import invoke
from tests.smtp_server import SmtpServer, reply

KEY = base64.b64encode(bytes(32)).decode()


@pytest.mark.fault(49)
def test_a_backlog_on_the_hosts_sender_holds_up_no_other_organization(
    app: Flask, acme: Organization, cast: Cast, ledger: Ledger, server: SmtpServer
) -> None:
    initech = organizations.create(name="Initech", short_name="initech", actor=OPERATOR)
    person = db.session.get_one(User, cast.alice.id)
    members.add(initech, person, role=Role.MEMBER, actor=OPERATOR)
    db.session.commit()
    ledger.senders = {**ledger.senders, initech.id: "no-reply@gatepost.test"}
    many = [Addressee(f"{number}@acme.test", cast.alice.id) for number in range(300)]
    theirs = ledger.note(enqueue(acme, *many))
    (ours,) = ledger.note(enqueue(initech, alice(cast)))
    message_id = record(ours).message_id
    with worker_thread(app):
        until(all_in(State.ACCEPTED, [ours]))
    order = [message.message["Message-ID"] for message in server.messages]
    assert order.index(message_id) < 200
    assert State.FAILED not in {record(one).state for one in theirs}
    ledger.check(server)


@pytest.mark.fault(50)
def test_a_server_that_is_back_meets_one_probe_and_no_more_sessions_than_allowed(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(greeting=reply("554 5.3.2 not you"))
    aim(Scope.of(globex), "main", server, connections=2)
    ids = ledger.note(enqueue(globex, *people(20)))
    take_turns()
    attempt = held(ids, "greeting", "greeting_refused", code=554)
    sender = db.session.get_one(Sender, attempt.delivery.sender_id)
    for probes in (1, 2, 3):
        probe_at, tried = sender.next_probe_at, server.connections
        later()
        held(ids, "greeting", "greeting_refused", code=554, times=probes + 1)
        assert server.connections == tried + 1
        db.session.refresh(sender)
        assert probe_at and sender.next_probe_at and sender.next_probe_at > probe_at
    server.set_script()
    before = server.connections
    later()
    assert all_in(State.ACCEPTED, ids)()
    assert server.connections <= before + 2
    db.session.refresh(sender)
    assert (sender.next_probe_at, sender.consecutive_failures) == (None, 0)
    ledger.check(server)


@pytest.mark.fault(53)
def test_a_worker_without_the_right_key_refuses_to_start_and_the_mail_is_kept(
    globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    ids = ledger.note(enqueue(globex, *people(2)))
    settings = {
        "PORTAL_DATABASE_URL": config.database_url,
        "PORTAL_DATA_DIR": str(config.data_dir),
        "PORTAL_SECRET_KEY": config.secret_key or "",
        "PORTAL_ENCRYPTION_KEYS": f"other:{KEY}",
    }
    for command in (("worker",), ("web", "--port", "0")):
        refused = invoke(settings, *command)
        assert refused.exit_code == 1
        assert refused.stderr.startswith("Error: Encryption key test is missing: restore")
    assert all_in(State.QUEUED, ids)()
    assert server.connections == 0
    take_turns()
    assert all_in(State.ACCEPTED, ids)()
    ledger.check(server)


@pytest.mark.fault(54)
def test_the_same_event_posted_twice_is_one_mail(
    globex: Organization, system: Caller, ledger: Ledger, server: SmtpServer
) -> None:
    first = system.raise_alert(key="one")
    take_turns()
    again = system.raise_alert(key="one")
    take_turns()
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.data == again.data
    assert count(Alert) == count(Delivery) == 1
    ledger.note(db.session.scalars(select(Delivery.id)))
    assert len(server.messages) == 1
    ledger.check(server)


@pytest.mark.fault(55)
def test_mail_that_is_deferred_until_its_time_is_over_has_expired_after_its_tries(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(rcpt=reply("450 4.7.1 greylisted"))
    sealed = Addressee("ann@x.test", secrets={"link": "https://x.test"})
    (one,) = ledger.note(enqueue(globex, sealed))
    for _ in range(2):
        take_turns()
        assert record(one).state is State.DEFERRED
        hurry()
    record(one).expires_at = utcnow() + timedelta(minutes=2)
    db.session.commit()
    take_turns()
    assert (record(one).state, record(one).reason) == (State.EXPIRED, "expired")
    assert outcomes(one) == ["deferred"] * 3
    later()
    assert outcomes(one) == ["deferred"] * 3
    ledger.check(server)
