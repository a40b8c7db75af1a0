"""Faults of the worker's process: killed in a content, asleep, killed by one letter."""

import os
import signal

import pytest
from flask import current_app

from portal.config import Config
from portal.delivery import claims, recovering
from portal.delivery.loop import Loop
from portal.delivery.models import State
from portal.identity.models import Organization
from tests.delivering import (
    ALERT,
    Gate,
    all_in,
    deliver,
    end_leases,
    enqueue,
    outcomes,
    record,
    take_turns,
    worker_process,
)
from tests.faults import poisoned
from tests.faults.breaking import obey, refuse
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, read_body, then


@pytest.mark.fault(36)
def test_mail_killed_within_its_content_goes_out_once(
    globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    """The content is on its way, and the final dot can't be marked: so it does not go out."""
    refuse(config, "deliveries", "UPDATE OF dot_pending", "io_error")
    server.set_script(body=[then(read_body(100), gate := Gate())])
    (one,) = ledger.note(enqueue(globex, *people(1)))
    with worker_process() as process:
        gate.wait()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    obey(config, "deliveries")
    gate.open()
    assert server.messages == []
    assert not record(one).dot_pending
    assert recovering.release_dead(claims.process_name(process.pid or 0)) == 1
    assert (record(one).state, record(one).reason) == (State.QUEUED, "recovered")
    take_turns()
    assert outcomes(one) == ["recovered", "accepted"]
    assert record(one).attempts[0].cause == "worker_lost"
    assert not record(one).may_be_duplicate
    assert len(server.messages) == 1
    ledger.check(server)


@pytest.mark.fault(40)
def test_a_worker_that_slept_alone_past_its_lease_does_not_keep_what_it_may_not_send(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    """Nobody took the mail over meanwhile; it comes back when its lease has ended."""
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    (one,) = ledger.note(enqueue(globex, *people(1)))
    (claimed,) = claims.claim("alone", limit=1)
    end_leases()
    deliver(claimed, loop)
    assert server.messages == []
    assert record(one).state is State.SENDING
    claims.renew("alone", but=loop.abandoned)
    assert recovering.recover_expired() == 1
    loop.close()
    take_turns()
    assert outcomes(one) == ["recovered", "accepted"]
    assert record(one).attempts[0].cause == "lease_lost"
    ledger.check(server)


@pytest.mark.fault(48)
def test_a_letter_that_kills_its_workers_is_parked_and_costs_no_other_mail(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    (poison,) = ledger.note(enqueue(globex, *people(1), data=ALERT | {"text": poisoned.POISON}))
    others = ledger.note(enqueue(globex, *people(5)))
    deaths = 0
    while record(poison).state is not State.FAILED:
        assert deaths < 6
        with worker_process(poisoned.work) as process:
            process.join(30)
            assert process.exitcode == -signal.SIGKILL
        recovering.release_dead(claims.process_name(process.pid or 0))
        deaths += 1
    assert deaths >= 4
    assert record(poison).reason == "parked"
    assert outcomes(poison) == ["recovered"] * deaths
    assert {attempt.cause for attempt in record(poison).attempts} == {"worker_lost"}
    take_turns()
    assert all_in(State.ACCEPTED, others)()
    # One whose final dot was out when a worker ended may have come twice; it says so.
    copies = len(server.messages) - len(others)
    assert copies <= sum(record(one).may_be_duplicate for one in others)
    ledger.check(server)
