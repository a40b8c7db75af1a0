"""When a sender fails: another of the scope takes over, then the host where that is allowed."""

from typing import Any

import pytest
from flask import Flask

from portal.audit.log import OPERATOR, SYSTEM
from portal.clock import utcnow
from portal.delivery import claims, sweeping
from portal.delivery.models import Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.jobs import Event
from portal.notifications import alerts, sender_health
from portal.settings import changes, senders
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import aim, allow, deliver, take_turns
from tests.smtp_server import SmtpServer, reply


def save_sender(scope: Scope, name: str, server: SmtpServer, priority: int = 100) -> None:
    raw = {
        "display_name": f"{name} sender",
        "from_address": f"{name}@globex.test",
        "server": server.host,
        "port": server.port,
        "encryption": "none",
        "authentication": "none",
        "priority": priority,
    }
    senders.save(scope, name, raw, secret=senders.Keep(), actor=OPERATOR, activate=True)


def globex(servers: dict[str, SmtpServer]) -> Organization:
    """Globex with its own senders in the order given, and every server allowed."""
    organization = db.session.query(Organization).filter_by(slug="globex").one()
    scope = Scope.of(organization)
    for old in senders.all_of(scope):
        senders.delete(scope, old, actor=OPERATOR)
    for number, (name, server) in enumerate(servers.items()):
        save_sender(scope, name, server, priority=number)
    first = next(iter(servers))
    wanted = {"mode": "own", "default_sender": first, "fallback": False}
    changes.save_mail_settings(scope, wanted, actor=OPERATOR)
    entries = [f"{server.host}:{server.port}" for server in servers.values()]
    changes.save_allowed_destinations(entries, actor=OPERATOR)
    db.session.commit()
    return organization


def raise_one(organization: Organization) -> Delivery:
    said = alerts.parse_raise(title="Disk full", severity="critical")
    delivery = alerts.raise_alert(organization, said, actor=SYSTEM).deliveries[0]
    db.session.commit()
    return delivery


def work() -> None:
    """One worker's turn after turn until nothing is due, in a context of its own."""
    db.session.commit()
    while claimed := claims.claim("tester", limit=10):
        for one in claimed:
            deliver(one)
    db.session.expire_all()


@pytest.fixture
def session(app: Flask, cast: Cast, session: object) -> object:
    return session


def test_the_next_sender_takes_over_at_once_and_the_record_names_it(session: object) -> None:
    with SmtpServer() as broken, SmtpServer() as healthy:
        broken.set_script(greeting=reply("554 closed"))
        organization = globex({"main": broken, "second": healthy})
        delivery = raise_one(organization)
        work()
        assert (delivery.state, delivery.sender) == (State.ACCEPTED, "second")
        assert delivery.level is Level.ORGANIZATION
        assert [attempt.sender for attempt in delivery.attempts] == ["main", "second"]
        assert healthy.messages[0].mail_from == "second@globex.test"


def test_the_host_stands_in_only_where_the_organization_asked_for_it(session: object) -> None:
    with SmtpServer() as broken, SmtpServer() as platform:
        broken.set_script(greeting=reply("554 closed"))
        host = senders.find(HOST, "platform")
        assert host is not None
        senders.save(
            HOST,
            "platform",
            {"server": platform.host, "port": platform.port},
            secret=senders.Keep(),
            actor=OPERATOR,
            sender=host,
            activate=True,
        )
        organization = globex({"main": broken})
        held = raise_one(organization)
        work()
        assert (held.state, held.reason) == (State.HELD, "sender_failing")
        assert platform.messages == []

        changes.save_mail_settings(Scope.of(organization), {"fallback": True}, actor=OPERATOR)
        stands_in = raise_one(organization)
        work()
        assert (stands_in.state, stands_in.level) == (State.ACCEPTED, Level.FALLBACK)
        message = platform.messages[0].message
        assert "via" in message["From"] and "main@globex.test" not in message["From"]
        assert message["Reply-To"] == "main@globex.test"


def test_mail_that_the_host_may_not_stand_in_for_any_more_waits_for_its_own_sender(
    session: object,
) -> None:
    with SmtpServer() as dead, SmtpServer() as platform:
        organization = globex({"main": dead})
        host = senders.find(HOST, "platform")
        aim(HOST, "platform", platform)
        assert host is not None
        dead.set_script(greeting=reply("554 closed"))
        changes.save_mail_settings(Scope.of(organization), {"fallback": True}, actor=OPERATOR)
        changes.save_mail_settings(Scope.of(organization), {"daily_cap": 1}, actor=OPERATOR)
        db.session.commit()
        raised = [raise_one(organization), raise_one(organization)]
        work()
        assert len(platform.messages) == 1
        (waits,) = [one for one in raised if one.state is not State.ACCEPTED]
        assert (waits.state, waits.reason) == (State.HELD, "sender_failing")
        main = senders.find(Scope.of(organization), "main")
        assert main is not None
        assert waits.sender_id == main.id


@pytest.mark.fault(17)
def test_administrators_hear_once_of_a_failing_sender_and_once_of_its_recovery(
    session: object,
) -> None:
    with SmtpServer() as server:
        server.set_script(greeting=reply("554 closed"))
        organization = globex({"main": server})
        raise_one(organization)
        work()
        main = senders.find(Scope.of(organization), "main")
        assert main is not None
        assert sender_health.tell() == 0, "one failure may pass by itself"
        main.consecutive_failures = 2
        db.session.commit()
        assert sender_health.tell() == 1
        assert sender_health.tell() == 0
        told = db.session.query(Delivery).filter_by(kind="mail.sender_failing").all()
        assert {one.recipient for one in told} == {"carol@globex.test"}
        assert all(one.organization_id is None for one in told), "by the host's sender"
        assert "refuses connections" in told[0].payload.data["reason"]

        main.consecutive_failures = 0
        db.session.commit()
        assert sender_health.tell() == 1
        again = db.session.query(Delivery).filter_by(kind="mail.sender_recovered").all()
        assert {one.recipient for one in again} == {"carol@globex.test"}
        assert sender_health.tell() == 0


def test_the_letters_tell_an_organization_the_coarse_cause_then_what_waited_and_how_long(
    session: object,
) -> None:
    with SmtpServer() as server:
        organization = globex({"main": server})
    first = raise_one(organization)
    work()  # nobody listens there any more
    waited = [raise_one(organization) for _ in range(2)]
    work()
    main = senders.find(Scope.of(organization), "main")
    assert main is not None
    assert main.last_failure_cause == "connect_refused"
    main.consecutive_failures = 2
    db.session.commit()
    sender_health.tell()
    data = told("mail.sender_failing")
    assert (data["cause"], data["waiting"]) == ("unreachable", 3)
    assert "or this portal may not connect there" in data["reason"]

    with SmtpServer() as server:
        aim(Scope.of(organization), "main", server)
        allow(server)
        # As when the very same server is back: the change of settings let nothing go yet.
        db.session.query(Event).delete()
        main.consecutive_failures, main.next_probe_at = 2, utcnow()
        db.session.commit()
        sweeping.probe_paused_senders()
        take_turns()
        db.session.expire_all()
        assert {one.state for one in (first, *waited)} == {State.ACCEPTED}
        sender_health.tell()
    data = told("mail.sender_recovered")
    assert data["waiting"] == 2, "beside the one that proved it"
    assert data["waiting_since_at"] == first.created_at.isoformat()
    assert data["since_at"] < data["works_since_at"]
    assert data["lasted"] >= 0
    assert (main.waited, main.waited_since_at) == (None, None)


def told(kind: str) -> Any:
    """What the newest mail of the kind says."""
    found = db.session.query(Delivery).filter_by(kind=kind).order_by(Delivery.id.desc()).first()
    assert found is not None
    return found.payload.data
