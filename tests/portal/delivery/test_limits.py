"""Rates make mail wait, caps stop it; both are said on the record."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.delivery import limits
from portal.delivery.limits import Limits, Wait
from portal.delivery.models import Delivery, Level, SendCount, State
from portal.delivery.outbox import Addressee
from portal.delivery.ways import Ways
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import changes, effective
from portal.settings.effective import Resolved
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import aim, enqueue, record, take_turns
from tests.smtp_behaviours import reply
from tests.smtp_server import SmtpServer

EVE = Addressee("eve@x.test", secrets={"invitation_url": "https://x.test/i"})
INVITATION = {
    "person_name": "Eve",
    "organization_name": "Acme",
    "role": "member",
    "invited_by": "Alice",
}


def people(count: int) -> list[Addressee]:
    return [Addressee(f"person{number}@x.test") for number in range(count)]


def states(ids: Any) -> list[str]:
    return sorted(record(one).state.value for one in ids)


def an_hour_passes() -> None:
    """As if the minutes that were counted had been an hour ago, and what waits were due."""
    db.session.rollback()
    for row in db.session.scalars(select(SendCount).where(SendCount.key.endswith(":minute"))):
        row.counts = {str(int(slot) - 720): count for slot, count in row.counts.items()}
        row.last_turn = None
    waits = Delivery.state == State.QUEUED
    db.session.execute(update(Delivery).where(waits).values(next_attempt_at=utcnow()))
    db.session.commit()


def test_a_rate_of_a_minute_lets_so_many_go_and_the_others_wait_their_turn(
    globex: Organization, server: SmtpServer
) -> None:
    aim(Scope.of(globex), "main", server, per_minute=3)
    ids = enqueue(globex, *people(5))
    take_turns()
    assert states(ids) == ["accepted"] * 3 + ["queued"] * 2
    waiting = [one for one in map(record, ids) if one.state is State.QUEUED]
    assert {one.reason for one in waiting} == {limits.RATE}
    assert [one.attempt_count for one in waiting] == [0, 0]
    first, second = sorted(one.next_attempt_at for one in waiting if one.next_attempt_at)
    assert utcnow() + timedelta(seconds=40) < first <= utcnow() + timedelta(seconds=65)
    assert second - first == timedelta(seconds=20)

    an_hour_passes()
    take_turns()
    assert states(ids) == ["accepted"] * 5
    assert {record(one).reason for one in ids} == {None}


def test_of_two_rates_both_are_kept(globex: Organization, server: SmtpServer) -> None:
    aim(Scope.of(globex), "main", server, per_minute=2, per_day=3)
    ids = enqueue(globex, *people(4))
    take_turns()
    assert len(server.messages) == 2
    an_hour_passes()
    take_turns()
    assert len(server.messages) == 3
    (last,) = [one for one in map(record, ids) if one.state is State.QUEUED]
    assert last.next_attempt_at is not None
    assert last.next_attempt_at > utcnow() + timedelta(hours=20)


def test_the_rate_of_a_sender_counts_for_all_who_use_it(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    aim(HOST, "platform", server, per_minute=1)
    security = enqueue(acme, EVE, kind="security.invitation", data=INVITATION)
    alert = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    assert states(security) == ["accepted"]
    assert record(alert[0]).reason == limits.RATE


def test_the_daily_cap_stops_an_organization_on_the_hosts_sender_and_nobody_else(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    changes.save_mail_settings(Scope.of(acme), {"daily_cap": 2}, actor=OPERATOR)
    db.session.commit()
    member = Addressee(cast.alice.email, cast.alice.id)
    ids = enqueue(acme, member, member, member)
    security = enqueue(acme, EVE, kind="security.invitation", data=INVITATION)
    own = enqueue(globex, *people(3))
    take_turns()
    assert states(ids) == ["accepted", "accepted", "suppressed"]
    (stopped,) = [one for one in map(record, ids) if one.state is State.SUPPRESSED]
    assert (stopped.reason, stopped.attempt_count) == (limits.DAILY_CAP, 0)
    assert states(security) == ["accepted"]
    assert states(own) == ["accepted"] * 3


def test_the_hosts_cap_holds_where_the_organization_has_none_of_its_own(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    changes.save_mail_settings(HOST, {"daily_cap": 1}, actor=OPERATOR)
    db.session.commit()
    ids = enqueue(acme, *[Addressee(cast.alice.email, cast.alice.id)] * 2)
    take_turns()
    assert states(ids) == ["accepted", "suppressed"]


def test_nobody_is_bombed_by_the_hosts_sender(
    acme: Organization, cast: Cast, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_RECIPIENT", 2)
    alice = Addressee(cast.alice.email, cast.alice.id)
    shouted = Addressee(cast.alice.email.upper(), cast.alice.id)
    ids = enqueue(acme, alice, shouted, alice)
    others = enqueue(acme, Addressee(cast.bob.email, cast.bob.id))
    take_turns()
    assert states(ids) == ["accepted", "accepted", "suppressed"]
    assert {record(one).reason for one in ids} == {None, limits.RECIPIENT_CAP}
    assert states(others) == ["accepted"]


def test_a_second_try_counts_for_the_rate_and_not_for_the_cap(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    changes.save_mail_settings(Scope.of(acme), {"daily_cap": 1}, actor=OPERATOR)
    db.session.commit()
    server.set_script(rcpt=[reply("450 4.2.1 later")])
    (one,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    assert record(one).state is State.DEFERRED
    db.session.rollback()
    db.session.execute(update(Delivery).values(next_attempt_at=utcnow()))
    db.session.commit()
    take_turns()
    assert record(one).state is State.ACCEPTED


def test_what_an_own_sender_tried_first_counts_for_the_cap_of_the_hosts(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    changes.save_mail_settings(Scope.of(acme), {"daily_cap": 1}, actor=OPERATOR)
    ids = enqueue(acme, *[Addressee(cast.alice.email, cast.alice.id)] * 2)
    tried = {"level": Level.ORGANIZATION, "attempt_count": 1}
    db.session.execute(update(Delivery).values(**tried))
    db.session.commit()
    take_turns()
    assert states(ids) == ["accepted", "suppressed"]


def test_two_workers_count_what_goes_by_a_new_sender_one_after_the_other(
    app: Flask, globex: Organization, server: SmtpServer
) -> None:
    """Neither finds a row: the second must wait for the first, and go on from its count."""
    aim(Scope.of(globex), "main", server, per_minute=3)
    its_id = globex.id
    first = Limits([], Ways())
    assert [take(first, its_id) for _ in range(2)] == [None, None]
    began = threading.Event()

    def count_as_another_worker() -> list[Any]:
        with app.app_context():
            began.set()
            second = Limits([], Ways())
            taken = [take(second, its_id) for _ in range(2)]
            second.store()
            db.session.commit()
            return taken

    with ThreadPoolExecutor() as pool:
        running = pool.submit(count_as_another_worker)
        began.wait(30)
        wait_for_a_lock(app)
        first.store()
        db.session.commit()
        taken = running.result(30)
    assert taken[0] is None and isinstance(taken[1], Wait)
    stored = db.session.scalars(select(SendCount)).one()
    assert sum(stored.counts.values()) == 3


def test_workers_that_count_several_new_recipients_wait_for_each_other_and_never_both(
    app: Flask, acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    """Whatever the order in which each of them has the mail."""
    aim(HOST, "platform", server)
    addresses = [(acme.id, f"{name}@x.test") for name in "abcdef"]
    first = Limits(addresses, Ways())
    assert take(first, acme.id, addresses[0][1]) is None
    began = threading.Event()

    def count_as_another_worker() -> None:
        with app.app_context():
            began.set()
            second = Limits(addresses[::-1], Ways())
            assert [take(second, *one) for one in addresses[::-1]] == [None] * 6
            second.store()
            db.session.commit()

    with ThreadPoolExecutor() as pool:
        running = pool.submit(count_as_another_worker)
        began.wait(30)
        wait_for_a_lock(app)
        assert [take(first, *one) for one in addresses[1:]] == [None] * 5
        first.store()
        db.session.commit()
        running.result(30)
    rows = db.session.scalars(select(SendCount)).all()
    assert [sum(row.counts.values()) for row in rows] == [2] * 6


def take(counters: Limits, organization_id: uuid.UUID, recipient: str = "a@x.test") -> Any:
    """Count one alert; None: it may go."""
    kind = BY_KEY["alert.raised"]
    organization = db.session.get_one(Organization, organization_id)
    resolved = effective.resolve(organization, kind)
    assert isinstance(resolved, Resolved)
    return counters.take(resolved, organization_id, kind, recipient, is_counted=False)


def wait_for_a_lock(app: Flask) -> None:
    """Until another transaction stands before what this one locked. On SQLite it stands before
    its first statement, which nobody can see."""
    if db.engine.dialect.name == "sqlite":
        return
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    end = time.monotonic() + 4
    with db.engine.connect() as beside:
        while not beside.scalar(waits):
            assert time.monotonic() < end, "the other worker did not wait"
            time.sleep(0.01)


def test_counters_that_ended_are_forgotten(globex: Organization, server: SmtpServer) -> None:
    aim(Scope.of(globex), "main", server, per_minute=3)
    enqueue(globex, *people(1))
    take_turns()
    db.session.rollback()
    limits.forget_old()
    assert db.session.scalars(select(SendCount.key)).all()
    db.session.execute(update(SendCount).values(ends_at=utcnow() - timedelta(seconds=1)))
    limits.forget_old()
    assert not db.session.scalars(select(SendCount.key)).all()
