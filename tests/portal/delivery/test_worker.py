"""The loop: woken by a kick, slowed by nobody's server, stopped by nobody's letter."""

import uuid

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from portal.clock import utcnow
from portal.config import Config
from portal.delivery import claims, recovering, sweeping
from portal.delivery.models import Delivery, State, Worker
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings.scope import Scope
from portal.smtp.events import Event
from portal.smtp.live import LiveSession
from tests.cast import Cast
from tests.delivering import (
    Gate,
    aim,
    all_in,
    allow,
    end_leases,
    enqueue,
    outcomes,
    record,
    take_turns,
    until,
    worker_thread,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, drop, reply, then

ANN = Addressee("ann@x.test")


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def to(cast: Cast) -> Addressee:
    return Addressee(cast.alice.email, cast.alice.id)


def asleep(name: str) -> bool:
    """The worker has looked for work once and goes to rest."""
    return db.session.get(Worker, name) is not None


def test_a_commit_wakes_a_sleeping_worker(
    app: Flask, acme: Organization, cast: Cast, ledger: Ledger, server: SmtpServer
) -> None:
    with worker_thread(app, "one"):
        until(lambda: asleep("one"))
        ids = ledger.note(enqueue(acme, to(cast)))
        server.wait_for_messages(1)
        until(all_in(State.ACCEPTED, ids))
    ledger.check(server)


def test_a_worker_notes_its_life_and_its_end(app: Flask, globex: Organization) -> None:
    with worker_thread(app, "one"):
        until(lambda: asleep("one"))
        assert db.session.get_one(Worker, "one").stopped_at is None
    row = db.session.get_one(Worker, "one", populate_existing=True)
    assert row.stopped_at is not None
    assert row.started_at <= row.heartbeat_at <= row.stopped_at


@pytest.mark.fault(6, 49)
@pytest.mark.parametrize("phase", ["greeting", "data", "dot"])
def test_a_server_that_hangs_holds_up_no_other_organization(
    app: Flask, acme: Organization, globex: Organization, cast: Cast, server: SmtpServer, phase: str
) -> None:
    gate = Gate()
    with SmtpServer(script={phase: [then(gate, drop())]}) as dead:
        allow(dead)
        aim(Scope.of(globex), "main", dead)
        theirs = enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(150)))
        ours = enqueue(acme, *[to(cast)] * 20)
        with worker_thread(app):
            gate.wait()
            until(all_in(State.ACCEPTED, ours))
            late = enqueue(acme, to(cast))
            until(all_in(State.ACCEPTED, late))
            assert State.ACCEPTED not in {record(one).state for one in theirs}
            assert dead.connections == 1
            db.session.rollback()
            gate.open()


def test_a_paused_sender_holds_up_no_other_organization(
    app: Flask, acme: Organization, globex: Organization, cast: Cast, ledger: Ledger
) -> None:
    with SmtpServer(script={"greeting": reply("554 5.3.2 no")}) as dead, SmtpServer() as other:
        allow(dead, other)
        aim(Scope.of(globex), "main", dead)
        theirs = ledger.note(enqueue(globex, ANN, ANN))
        with worker_thread(app):
            until(all_in(State.HELD, theirs))
            aim(Scope.of(globex), "main", other)
            until(all_in(State.ACCEPTED, theirs))
    ledger.check(dead, other)


@pytest.mark.fault(44)
def test_a_database_that_goes_away_at_the_mark_of_a_final_dot_costs_no_mail(
    app: Flask,
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = ledger.note(enqueue(globex, ANN, Addressee("ben@x.test")))
    mark_dots = claims.mark_dots
    failures = [OperationalError("UPDATE", {}, Exception("gone"))]

    def fails_once(claimed: list[claims.Claim]) -> set[claims.Claim]:
        if claimed and failures:
            assert server.messages == []
            raise failures.pop()
        return mark_dots(claimed)

    monkeypatch.setattr(claims, "mark_dots", fails_once)
    with worker_thread(app, "one"):
        until(all_in(State.ACCEPTED, ids))
    assert failures == []
    assert [outcomes(one) for one in ids] == [["accepted"]] * 2
    ledger.check(server)


def test_a_worker_survives_what_its_sweep_meets(
    app: Flask,
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [OperationalError("BEGIN", {}, Exception("the database restarts"))]
    handle_events = sweeping.handle_events

    def fails_once() -> int:
        if failures:
            raise failures.pop()
        return handle_events()

    monkeypatch.setattr(sweeping, "handle_events", fails_once)
    ids = ledger.note(enqueue(globex, ANN))
    with worker_thread(app):
        until(all_in(State.ACCEPTED, ids))
    assert failures == []
    ledger.check(server)


def test_mail_of_a_worker_that_is_gone_is_taken_over(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    (one,) = ledger.note(enqueue(globex, ANN))
    claims.claim("a worker that is gone", limit=1)
    end_leases()
    with worker_thread(app):
        until(all_in(State.ACCEPTED, [one]))
    assert outcomes(one) == ["accepted"]
    ledger.check(server)


def test_mail_of_a_worker_that_lives_is_left_to_it(app: Flask, globex: Organization) -> None:
    (one,) = enqueue(globex, ANN)
    claims.claim("a worker that lives", limit=1)
    with worker_thread(app, "two"):
        until(lambda: asleep("two"))
    assert record(one).lease_owner == "a worker that lives"


def test_a_worker_that_stops_waits_for_the_mail_in_its_hands(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[then(gate := Gate(), reply("250 taken"))])
    ids = ledger.note(enqueue(globex, ANN, ANN))
    with worker_thread(app):
        gate.wait()
        gate.open()
    states = sorted(record(one).state.value for one in ids)
    assert states in (["accepted", "queued"], ["accepted", "accepted"])
    take_turns()
    ledger.check(server)


def test_mail_that_is_due_later_is_sent_when_it_is_due(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(rcpt=[reply("450 4.7.1 greylisted")])
    (one,) = ledger.note(enqueue(globex, ANN))
    with worker_thread(app, "one"):
        until(all_in(State.DEFERRED, [one]))
        assert server.messages == []
        make_due(one)
        until(all_in(State.ACCEPTED, [one]))
    ledger.check(server)


def make_due(one: uuid.UUID) -> None:
    db.session.rollback()
    db.session.execute(update(Delivery).where(Delivery.id == one).values(next_attempt_at=utcnow()))
    db.session.commit()


def test_security_mail_overtakes_a_backlog_of_another_kind(
    app: Flask, acme: Organization, cast: Cast, server: SmtpServer, config: Config
) -> None:
    enqueue(acme, *[to(cast)] * 3)
    urgent = Addressee("eve@x.test", secrets={"invitation_url": "https://x.test/i"})
    words = {
        "person_name": "Eve",
        "organization_name": "Acme",
        "role": "member",
        "invited_by": "Alice",
    }
    enqueue(acme, urgent, kind="security.invitation", data=words)
    with worker_thread(app):
        server.wait_for_messages(4)
        until(lambda: not db.session.scalars(select(Delivery.id).where(_unfinished)).all())
    assert server.messages[0].recipients == ("eve@x.test",)


_unfinished = Delivery.state != State.ACCEPTED


@pytest.mark.fault(33)
def test_a_server_that_talks_behind_its_354_stops_no_worker(
    app: Flask, acme: Organization, globex: Organization, cast: Cast, ledger: Ledger
) -> None:
    with SmtpServer(script={"data": reply("354 go on", "250 and junk")}) as liar:
        allow(liar)
        aim(Scope.of(globex), "main", liar)
        (theirs,) = ledger.note(enqueue(globex, ANN))
        with worker_thread(app):
            until(all_in(State.DEFERRED, [theirs]))
            ours = ledger.note(enqueue(acme, to(cast)))
            until(all_in(State.ACCEPTED, ours))
        assert record(theirs).attempts[0].cause == "protocol_error"
        assert liar.messages == []


def test_a_session_that_breaks_the_worker_costs_no_other_mail(
    app: Flask,
    acme: Organization,
    globex: Organization,
    cast: Cast,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = LiveSession.content

    def breaks(self: LiveSession, mail: bytes) -> list[Event]:
        if b"alerts@globex.test" in mail:
            raise RuntimeError("unforeseen")
        return content(self, mail)

    monkeypatch.setattr(LiveSession, "content", breaks)
    (theirs,) = enqueue(globex, ANN)
    with worker_thread(app):
        until(lambda: record(theirs).attempt_count == 1)
        ours = enqueue(acme, to(cast))
        until(all_in(State.ACCEPTED, ours))
    assert record(theirs).state is State.SENDING
    end_leases()
    monkeypatch.undo()
    recovering.recover_expired()
    take_turns()
    assert outcomes(theirs) == ["recovered", "accepted"]
    assert len(server.messages) == 2
