"""Claim, lease and fence: two workers send nothing twice, and what a dead one held comes back."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text

from portal.clock import utcnow
from portal.config import Config
from portal.delivery import claims, sending, sweeping
from portal.delivery.claims import Claim, LeaseLost
from portal.delivery.models import AttemptOutcome, DeliverySecret, State, Worker
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from tests.cast import Cast
from tests.delivering import (
    TEST_MAIL,
    Gate,
    all_in,
    deliver,
    end_leases,
    enqueue,
    outcomes,
    record,
    take_turns,
    until,
    worker_process,
    worker_thread,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then

LOST = "worker_lost"


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def ann(number: int = 0) -> Addressee:
    return Addressee(f"ann{number}@x.test")


def fill(acme: Organization, globex: Organization, cast: Cast, ledger: Ledger) -> None:
    """200 letters in the names of two organizations."""
    ours = [Addressee(f"{n}@acme.test", cast.alice.id) for n in range(100)]
    ledger.note(enqueue(acme, *ours) + enqueue(globex, *map(ann, range(100))))


def test_two_worker_processes_send_each_of_200_letters_exactly_once(
    acme: Organization, globex: Organization, cast: Cast, ledger: Ledger, server: SmtpServer
) -> None:
    fill(acme, globex, cast, ledger)
    with worker_process(), worker_process():
        server.wait_for_messages(200, seconds=60)
        until(all_in(State.ACCEPTED, list(ledger.promised)))
    assert len(server.messages) == 200
    assert {outcome for one in ledger.promised for outcome in outcomes(one)} == {"accepted"}
    ledger.check(server)


def test_two_worker_threads_send_each_of_200_letters_exactly_once(
    app: Flask,
    acme: Organization,
    globex: Organization,
    cast: Cast,
    ledger: Ledger,
    server: SmtpServer,
) -> None:
    fill(acme, globex, cast, ledger)
    with worker_thread(app, "one"), worker_thread(app, "two"):
        server.wait_for_messages(200, seconds=60)
        until(all_in(State.ACCEPTED, list(ledger.promised)))
    assert len(server.messages) == 200
    ledger.check(server)


def test_what_one_worker_claimed_no_other_gets(globex: Organization) -> None:
    enqueue(globex, *map(ann, range(5)))
    first = claims.claim("one", limit=3)
    second = claims.claim("two", limit=10)

    assert len(first) == 3
    assert len(second) == 2
    assert not {one.delivery_id for one in first} & {one.delivery_id for one in second}
    assert claims.claim("three", limit=10) == []


def test_urgent_mail_is_claimed_first(globex: Organization, cast: Cast) -> None:
    (alert,) = enqueue(globex, ann())
    (test,) = enqueue(globex, ann(), kind="mail.test", data=TEST_MAIL)
    assert [one.delivery_id for one in claims.claim("one", limit=2)] == [test, alert]


def test_mail_of_busy_organizations_is_left_alone(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    enqueue(globex, ann())
    (ours,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    (hosts,) = enqueue(None, ann(), kind="mail.test", data=TEST_MAIL)

    (claimed,) = claims.claim("one", limit=9, but=[globex.id, None])
    assert claimed.delivery_id == ours
    (claimed,) = claims.claim("one", limit=9, but=[globex.id])
    assert claimed.delivery_id == hosts


def test_mail_that_is_not_due_is_not_claimed(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    record(one).next_attempt_at = utcnow() + timedelta(minutes=1)
    db.session.commit()
    assert claims.claim("one", limit=9) == []


def test_a_lease_that_is_kept_does_not_end(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    (claimed,) = claims.claim("one", limit=1)
    end_leases()
    claims.renew("one")
    assert claims.recover_expired() == 0
    claims.mark_dot(claimed)
    assert record(one).dot_pending


def test_mail_that_no_thread_cares_for_is_not_kept(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    claims.claim("one", limit=1)
    end_leases()
    claims.renew("one", but=[one])
    assert claims.recover_expired() == 1


def lease_over(claimed: Claim) -> None:
    end_leases()


def taken_by_another(claimed: Claim) -> None:
    end_leases()
    claims.recover_expired()
    claims.claim("two", limit=1)


def cancelled(claimed: Claim) -> None:
    sweeping.cancel_waiting(record(claimed.delivery_id).payload_id, "decided")
    db.session.commit()


@pytest.mark.parametrize("lose", [lease_over, taken_by_another, cancelled])
def test_a_lost_lease_never_starts_a_final_dot(
    app: Flask, globex: Organization, server: SmtpServer, lose: Callable[[Claim], None]
) -> None:
    (one,) = enqueue(globex, ann())
    (claimed,) = claims.claim("one", limit=1)
    lost: list[Claim] = []

    def lose_it(_: Any) -> None:
        # In the server's thread: between the worker's attempt and its final dot.
        with app.app_context():
            lose(claimed)
            db.session.remove()
        lost.append(claimed)

    server.set_script(data=[then(lose_it, reply("354 go on"))])
    deliver(claimed)

    assert lost
    assert server.messages == []
    assert not record(one).may_be_duplicate
    with pytest.raises(LeaseLost):
        claims.mark_dot(claimed)


def test_mail_cancelled_in_the_hands_of_a_worker_ends_with_a_closed_attempt(
    globex: Organization,
) -> None:
    (one,) = enqueue(globex, ann())
    (claimed,) = claims.claim("one", limit=1)
    cancelled(claimed)
    deliver(claimed)
    assert (record(one).state, record(one).reason) == (State.CANCELLED, "decided")
    assert outcomes(one) == []


def test_a_worker_that_lost_its_claim_writes_nothing(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, ann())
    (old,) = claims.claim("one", limit=1)
    taken_by_another(old)
    deliver(old)

    assert server.connections == 0
    assert record(one).lease_owner == "two"
    assert outcomes(one) == []
    claims.release([old])
    assert record(one).lease_owner == "two"


def test_a_release_gives_back_what_was_not_begun(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    claims.release(claims.claim("one", limit=1))
    assert (record(one).state, record(one).lease_owner) == (State.QUEUED, None)
    assert len(claims.claim("two", limit=1)) == 1


def test_the_mail_of_a_dead_worker_is_released_and_that_of_others_is_not(
    globex: Organization,
) -> None:
    ids = enqueue(globex, *map(ann, range(3)))
    process = claims.process_name(12)
    names = [f"{process}:ab12", process, f"{claims.process_name(123)}:ab12"]
    owners = {claims.claim(name, limit=1)[0].delivery_id: name for name in names}

    assert claims.release_dead(process) == 2
    still = {one for one in ids if record(one).state is State.SENDING}
    assert still == {one for one, name in owners.items() if name == names[2]}


def test_more_is_released_than_one_transaction_takes(
    globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_PORTION", 2)
    ids = enqueue(globex, *map(ann, range(5)))
    claims.claim("one", limit=9)
    assert claims.release_dead("one") == 5
    assert all_in(State.QUEUED, ids)()


def test_no_two_workers_bear_the_same_name() -> None:
    assert claims.worker_name() != claims.worker_name()
    assert claims.worker_name().startswith(claims.process_name(os.getpid()) + ":")


def test_mail_that_stopped_three_workers_is_set_aside(globex: Organization) -> None:
    (one,) = enqueue(globex, Addressee("ann@x.test", secrets={"link": "https://x.test"}))
    for number in range(3):
        assert record(one).state is State.QUEUED
        begin_and_die(f"worker {number}")
    assert (record(one).state, record(one).reason) == (State.FAILED, "parked")
    assert outcomes(one) == ["recovered"] * 3
    assert db.session.get(DeliverySecret, one) is None


def test_mail_that_was_only_claimed_is_never_set_aside(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    for number in range(5):
        claims.claim(f"worker {number}", limit=1)
        claims.release_dead(f"worker {number}")
    assert (record(one).state, record(one).recoveries) == (State.QUEUED, 0)


def begin_and_die(name: str) -> None:
    """As far as a worker that dies while it writes the letter comes."""
    (claimed,) = claims.claim(name, limit=1)
    assert sending._begin(claimed)
    db.session.remove()
    claims.release_dead(name)


def test_mail_killed_before_its_connection_goes_out_once(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    """Three letters are claimed, the first hangs in DATA: two have no connection yet."""
    server.set_script(data=[gate := Gate()])
    ids = ledger.note(enqueue(globex, *map(ann, range(3))))
    with worker_process() as process:
        gate.wait()
        kill(process.pid)
        process.join()
    assert server.messages == []
    assert recover(process.pid) == 3
    first, *others = sorted(map(record, ids), key=lambda one: -one.attempt_count)
    assert [one.state for one in (first, *others)] == [State.QUEUED] * 3
    assert (first.reason, first.recoveries) == ("recovered", 1)
    assert [one.recoveries for one in others] == [0, 0]

    gate.open()
    take_turns()
    assert sorted(map(outcomes, ids)) == [["accepted"], ["accepted"], ["recovered", "accepted"]]
    assert not any(record(one).may_be_duplicate for one in ids)
    assert len(server.messages) == 3
    ledger.check(server)


class Lock:
    """Lets nobody write to the database, from another connection: a commit waits."""

    def __init__(self, config: Config) -> None:
        self._engine = create_engine(config.database_url, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        self._is_sqlite = config.is_sqlite

    def __call__(self, _: Any) -> None:
        begin = "BEGIN IMMEDIATE" if self._is_sqlite else "BEGIN"
        self._connection.execute(text(begin))
        if not self._is_sqlite:
            self._connection.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))

    def release(self) -> None:
        self._connection.execute(text("ROLLBACK"))
        self._connection.close()
        self._engine.dispose()


def test_a_kill_between_acceptance_and_commit_costs_one_marked_copy(
    globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    lock = Lock(config)
    server.set_script(dot=[then(lock, reply("250 2.0.0 taken"))])
    (one,) = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        server.wait_for_messages(1)
        kill(process.pid)
        process.join()
    lock.release()
    assert record(one).state is State.SENDING
    assert record(one).dot_pending
    recover(process.pid)
    assert (record(one).state, record(one).reason) == (State.QUEUED, "recovered")

    take_turns()
    assert record(one).may_be_duplicate
    assert outcomes(one) == ["unknown", "accepted"]
    assert len({message.message["Message-ID"] for message in server.messages}) == 1
    assert len(server.messages) == 2
    ledger.check(server)


def test_a_kill_between_acceptance_and_commit_leaves_other_kinds_to_a_person(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    (one,) = ledger.note(enqueue(globex, ann(), kind="mail.test", data=TEST_MAIL))
    (claimed,) = claims.claim("one", limit=1)
    assert sending._begin(claimed)
    claims.mark_dot(claimed)
    assert claims.release_dead("one") == 1

    take_turns()
    assert (record(one).state, record(one).reason) == (State.UNKNOWN, LOST)
    assert not record(one).may_be_duplicate
    ledger.check(server)


def test_a_second_unknown_is_not_followed_by_a_third_copy(
    globex: Organization, ledger: Ledger
) -> None:
    (one,) = ledger.note(enqueue(globex, ann()))
    for name in ("one", "two"):
        (claimed,) = claims.claim(name, limit=1)
        assert sending._begin(claimed)
        claims.mark_dot(claimed)
        claims.release_dead(name)
    assert record(one).state is State.UNKNOWN
    assert outcomes(one) == ["unknown", "unknown"]


def test_a_kill_after_the_commit_costs_nothing(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    ids = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        until(all_in(State.ACCEPTED, ids))
        kill(process.pid)
        process.join()
    assert recover(process.pid) == 0
    take_turns()
    assert len(server.messages) == 1
    ledger.check(server)


def test_a_worker_told_to_end_finishes_its_mail_and_gives_back_the_rest(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[then(gate := Gate(), reply("250 2.0.0 taken"))])
    ids = ledger.note(enqueue(globex, *map(ann, range(3))))
    with worker_process() as process:
        gate.wait()
        process.terminate()
        gate.open()
        process.join()
    assert process.exitcode == 0
    assert len(server.messages) == 1
    states = sorted(record(one).state.value for one in ids)
    assert states == ["accepted", "queued", "queued"]
    assert [record(one).lease_owner for one in ids] == [None] * 3
    assert db.session.scalars(select(Worker.stopped_at)).one() is not None

    take_turns()
    assert [outcomes(one) for one in ids] == [["accepted"]] * 3
    ledger.check(server)


def test_a_worker_that_slept_past_its_lease_starts_no_final_dot(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(data=[then(gate := Gate(), reply("354 go on"))])
    (one,) = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        gate.wait()
        os.kill(process.pid or 0, signal.SIGSTOP)
        end_leases()
        assert claims.recover_expired() == 1
        take_turns()
        assert record(one).state is State.ACCEPTED
        gate.open()
        os.kill(process.pid or 0, signal.SIGCONT)
        process.terminate()
        process.join()
    assert process.exitcode == 0
    assert len(server.messages) == 1
    assert outcomes(one) == ["recovered", "accepted"]
    assert record(one).attempts[0].cause == LOST
    assert not record(one).may_be_duplicate
    ledger.check(server)


def test_the_answer_to_a_worker_that_slept_past_its_lease_is_noted_and_overwrites_nothing(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[then(gate := Gate(), reply("250 2.0.0 late"))])
    (one,) = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        gate.wait()
        os.kill(process.pid or 0, signal.SIGSTOP)
        end_leases()
        assert claims.recover_expired() == 1
        take_turns()
        assert outcomes(one) == ["unknown", "accepted"]
        gate.open()
        server.wait_for_messages(2)
        os.kill(process.pid or 0, signal.SIGCONT)
        process.terminate()
        process.join()
    assert process.exitcode == 0
    late, second = record(one).attempts
    assert (late.outcome, late.reply) == (AttemptOutcome.ACCEPTED, "2.0.0 late")
    assert record(one).reply == second.reply != late.reply
    assert record(one).may_be_duplicate
    ledger.check(server)


def kill(pid: int | None) -> None:
    os.kill(pid or 0, signal.SIGKILL)


def recover(pid: int | None) -> int:
    """What the supervisor does when a child has died."""
    return claims.release_dead(claims.process_name(pid or 0))
