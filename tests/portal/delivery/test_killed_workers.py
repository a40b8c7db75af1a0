"""Workers killed, told to end or stopped past their lease: real processes, real signals."""

import os
import signal

import pytest
from sqlalchemy import select, text

from portal.audit.log import OPERATOR
from portal.config import Config
from portal.delivery import claims, recovering
from portal.delivery.models import AttemptOutcome, Delivery, State, Worker
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.records import unknown
from tests.database_lock import Lock
from tests.delivering import (
    TEST_MAIL,
    Gate,
    all_in,
    begin,
    end_leases,
    enqueue,
    mark_dot,
    outcomes,
    record,
    take_turns,
    until,
    worker_process,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then

LOST = "worker_lost"


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def ann(number: int = 0) -> Addressee:
    return Addressee(f"ann{number}@x.test")


@pytest.mark.fault(35)
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


@pytest.mark.fault(37)
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


@pytest.mark.fault(37)
def test_a_kill_between_acceptance_and_commit_leaves_other_kinds_to_a_person(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    (one,) = ledger.note(enqueue(globex, ann(), kind="mail.test", data=TEST_MAIL))
    (claimed,) = claims.claim("one", limit=1)
    assert begin(claimed)
    mark_dot(claimed)
    assert recovering.release_dead("one") == 1

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
        assert begin(claimed)
        mark_dot(claimed)
        recovering.release_dead(name)
    assert record(one).state is State.UNKNOWN
    assert outcomes(one) == ["unknown", "unknown"]


@pytest.mark.fault(38)
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


@pytest.mark.fault(39)
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


@pytest.mark.fault(40)
def test_a_worker_that_slept_past_its_lease_starts_no_final_dot(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(data=[then(gate := Gate(), reply("354 go on"))])
    (one,) = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        gate.wait()
        put_to_sleep(process.pid)
        end_leases()
        assert recovering.recover_expired() == 1
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


@pytest.mark.fault(40)
def test_the_answer_to_a_worker_that_slept_past_its_lease_is_noted_and_overwrites_nothing(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(dot=[then(gate := Gate(), reply("250 2.0.0 late"))])
    (one,) = ledger.note(enqueue(globex, ann()))
    with worker_process() as process:
        gate.wait()
        put_to_sleep(process.pid)
        end_leases()
        assert recovering.recover_expired() == 1
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


@pytest.mark.fault(40)
@pytest.mark.parametrize("decided", [False, True], ids=["undecided", "decided"])
def test_the_late_answer_ends_what_is_unknown_unless_somebody_has_decided(
    globex: Organization, ledger: Ledger, server: SmtpServer, decided: bool
) -> None:
    server.set_script(dot=[then(gate := Gate(), reply("250 2.0.0 late"))])
    (one,) = ledger.note(enqueue(globex, ann(), kind="mail.test", data=TEST_MAIL))
    with worker_process() as process:
        gate.wait()
        put_to_sleep(process.pid)
        end_leases()
        assert recovering.recover_expired() == 1
        assert (record(one).state, record(one).reason) == (State.UNKNOWN, LOST)
        db.session.rollback()
        if decided:
            unknown.confirm(db.session.get_one(Delivery, one), actor=OPERATOR)
            db.session.commit()
        gate.open()
        server.wait_for_messages(1)
        os.kill(process.pid or 0, signal.SIGCONT)
        process.terminate()
        process.join()
    assert process.exitcode == 0
    (attempt,) = record(one).attempts
    assert (attempt.outcome, attempt.cause) == (AttemptOutcome.ACCEPTED, "lease_lost")
    assert attempt.reply == "2.0.0 late"
    found = (record(one).state, record(one).reason, record(one).reply)
    if decided:
        assert found == (State.ACCEPTED, unknown.CONFIRMED, None)
    else:
        assert found == (State.ACCEPTED, "accepted_late", "2.0.0 late")
        assert record(one).accepted_at is not None
    ledger.check(server)


def kill(pid: int | None) -> None:
    os.kill(pid or 0, signal.SIGKILL)


def put_to_sleep(pid: int | None) -> None:
    """Outside of its transactions: asleep in one, it would keep SQLite locked for everybody."""
    db.session.rollback()
    db.session.execute(text("SELECT 1"))
    os.kill(pid or 0, signal.SIGSTOP)
    db.session.rollback()


def recover(pid: int | None) -> int:
    """What the supervisor does when a child has died."""
    return recovering.release_dead(claims.process_name(pid or 0))
