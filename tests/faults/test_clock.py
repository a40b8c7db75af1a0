"""Faults of the system clock: it jumps forth and back while mail waits and is on its way."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from portal.clock import utcnow
from portal.delivery.models import State
from portal.identity.models import Organization
from tests.delivering import Gate, all_in, enqueue, outcomes, record, until, worker_thread
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then

_YEAR = timedelta(days=365)


@pytest.mark.fault(46)
def test_a_clock_that_jumps_a_year_forth_and_back_ends_and_doubles_nothing(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    """One mail waits for its next try, another for the answer to its final dot."""
    server.set_script(
        rcpt=[reply("450 4.7.1 greylisted"), None, reply("450 4.7.1 greylisted")],
        dot=[then(gate := Gate(), reply("250 2.0.0 taken"))],
    )
    (waits,) = ledger.note(enqueue(globex, *people(1)))
    with worker_thread(app):
        until(all_in(State.DEFERRED, [waits]))
        (under_way,) = ledger.note(enqueue(globex, *people(1)))
        gate.wait()
        lifetime = record(waits).expires_at - utcnow()
        with time_machine.travel(utcnow() + _YEAR):
            until(lambda: record(waits).expires_at > utcnow())
            assert record(waits).expires_at - utcnow() <= lifetime
            assert record(under_way).state is State.SENDING
            gate.open()
            until(all_in(State.ACCEPTED, [under_way]))
            until(
                lambda: (
                    record(waits).attempt_count == 2 and record(waits).state is not State.SENDING
                )
            )
            (new,) = ledger.note(enqueue(globex, *people(1)))
            until(all_in(State.ACCEPTED, [new]))
        until(all_in(State.ACCEPTED, [waits, under_way, new]))
    assert outcomes(waits) == ["deferred", "deferred", "accepted"]
    assert outcomes(under_way) == outcomes(new) == ["accepted"]
    ledger.check(server)
