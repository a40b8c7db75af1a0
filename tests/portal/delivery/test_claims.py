"""Claim, lease and fence: two workers send nothing twice, and what a dead one held comes back."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.delivery import claims, recovering, sweeping
from portal.delivery.claims import Claim
from portal.delivery.models import DeliverySecret, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from tests.cast import Cast
from tests.delivering import (
    TEST_MAIL,
    all_in,
    begin,
    deliver,
    end_leases,
    enqueue,
    mark_dot,
    outcomes,
    record,
    until,
    worker_process,
    worker_thread,
)
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then


@pytest.fixture
def ledger(acme: Organization, globex: Organization) -> Ledger:
    return Ledger({acme.id: "no-reply@gatepost.test", globex.id: "alerts@globex.test"})


def ann(number: int = 0) -> Addressee:
    return Addressee(f"ann{number}@x.test")


def fill(acme: Organization, globex: Organization, cast: Cast, ledger: Ledger) -> None:
    """200 letters in the names of two organizations."""
    ours = [Addressee(f"{n}@acme.test", cast.alice.id) for n in range(100)]
    ledger.note(enqueue(acme, *ours) + enqueue(globex, *map(ann, range(100))))


@pytest.mark.fault(41)
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


@pytest.mark.fault(41)
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

    (claimed,) = claims.claim("one", limit=9, but={(globex.id, False): 0, (None, True): 0})
    assert claimed.delivery_id == ours
    (claimed,) = claims.claim("one", limit=9, but={(globex.id, False): 0})
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
    assert recovering.recover_expired() == 0
    mark_dot(claimed)
    assert record(one).dot_pending


def test_mail_that_no_thread_cares_for_is_not_kept(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    claims.claim("one", limit=1)
    end_leases()
    claims.renew("one", but=[one])
    assert recovering.recover_expired() == 1


def lease_over(claimed: Claim) -> None:
    end_leases()


def taken_by_another(claimed: Claim) -> None:
    end_leases()
    recovering.recover_expired()
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
    assert claims.mark_dots([claimed]) == set()


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

    assert recovering.release_dead(process) == 2
    still = {one for one in ids if record(one).state is State.SENDING}
    assert still == {one for one, name in owners.items() if name == names[2]}


def test_more_is_released_than_one_transaction_takes(
    globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "_PORTION", 2)
    ids = enqueue(globex, *map(ann, range(5)))
    claims.claim("one", limit=9)
    assert recovering.release_dead("one") == 5
    assert all_in(State.QUEUED, ids)()


def test_no_two_workers_bear_the_same_name() -> None:
    assert claims.worker_name() != claims.worker_name()
    assert claims.worker_name().startswith(claims.process_name(os.getpid()) + ":")


def test_mail_that_stops_a_worker_alone_is_parked(globex: Organization) -> None:
    (one,) = enqueue(globex, Addressee("ann@x.test", secrets={"link": "https://x.test"}))
    for number in range(6):
        assert record(one).state is State.QUEUED
        assert record(one).recoveries == number
        begin_and_die(f"worker {number}")
    assert (record(one).state, record(one).reason) == (State.FAILED, "parked")
    assert outcomes(one) == ["recovered"] * 6
    assert db.session.get(DeliverySecret, one) is None


def test_parked_mail_that_may_have_arrived_is_unknown_and_not_failed(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    (claimed,) = claims.claim("worker", limit=1)
    assert begin(claimed)
    mark_dot(claimed)
    recovering.release_dead("worker")
    for number in range(5):
        begin_and_die(f"worker {number}")
    assert (record(one).state, record(one).reason) == (State.UNKNOWN, "parked")
    assert outcomes(one) == ["unknown", *["recovered"] * 5]


def test_mail_that_was_only_claimed_is_never_set_aside(globex: Organization) -> None:
    (one,) = enqueue(globex, ann())
    for number in range(5):
        claims.claim(f"worker {number}", limit=1)
        recovering.release_dead(f"worker {number}")
    assert (record(one).state, record(one).recoveries) == (State.QUEUED, 0)


def begin_and_die(name: str) -> None:
    """As far as a worker that dies while it writes the letter comes."""
    (claimed,) = claims.claim(name, limit=1)
    assert begin(claimed)
    db.session.remove()
    recovering.release_dead(name)
