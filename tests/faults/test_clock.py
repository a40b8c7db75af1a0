"""Faults of the system clock: it jumps forth and back while mail waits and is on its way."""

import os
import signal
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from portal.clock import utcnow
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
from tests.databases import EngineName
from tests.delivering import (
    Gate,
    all_in,
    enqueue,
    outcomes,
    record,
    until,
    worker_process,
    worker_thread,
)
from tests.faults import clocks
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then

_YEAR = timedelta(days=365)
# The longest that a busy machine takes to answer between two looks at a clock.
_MOMENT = timedelta(seconds=30)


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


@pytest.mark.fault(41)
@pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"])
def test_machines_whose_clocks_are_minutes_apart_take_no_mail_from_each_other(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    """One sleeps with a mail before its final dot; the other, ten minutes ahead, sweeps."""
    server.set_script(rcpt=[then(gate := Gate(), reply("250 2.1.5 ok"))])
    (its,) = ledger.note(enqueue(globex, *people(1)))
    db.session.execute(update(Delivery).values(next_attempt_at=utcnow() - clocks.BEHIND))
    db.session.commit()
    with worker_process(clocks.work_behind) as slow:
        gate.wait()
        os.kill(slow.pid or 0, signal.SIGSTOP)
        owner, fence = record(its).lease_owner, record(its).fence
        with worker_process():
            # A worker takes nothing before it has looked for leases that ran out.
            (another,) = ledger.note(enqueue(globex, *people(1)))
            until(all_in(State.ACCEPTED, [another]))
            held = record(its)
            assert (held.state, held.lease_owner, held.fence) == (State.SENDING, owner, fence)
            gate.open()
            os.kill(slow.pid or 0, signal.SIGCONT)
            until(all_in(State.ACCEPTED, [its]))
    assert outcomes(its) == ["accepted"]
    assert record(its).recoveries == 0
    ledger.check(server)


@pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"])
@pytest.mark.parametrize("wrong_by", [-clocks.BEHIND, clocks.BEHIND, _YEAR])
def test_leases_go_by_the_clock_of_the_database(app: Flask, wrong_by: timedelta) -> None:
    with app.app_context():
        asked = select(func.clock_timestamp())
        for is_read_anew in (True, False):
            with time_machine.travel(utcnow() + wrong_by):
                if is_read_anew:
                    lease_now()
            before = db.session.execute(asked).scalar_one()
            with time_machine.travel(utcnow() + wrong_by):
                found = lease_now()
            after = db.session.execute(asked).scalar_one()
            assert before - _MOMENT < found < after + _MOMENT
