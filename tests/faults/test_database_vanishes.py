"""PostgreSQL ends a transaction in which nothing happens, so that the locks of a process that
vanished hold up nobody; a process that is still there goes on."""

import threading
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event

from portal.config import Config
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications.models import Alert
from tests.databases import EngineName
from tests.delivering import all_in, enqueue, outcomes, until, worker_thread
from tests.faults.calls import Caller, count
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"])


@pytest.mark.fault(44)
def test_a_transaction_in_which_nothing_happens_is_ended_and_the_worker_goes_on(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    ids = ledger.note(enqueue(globex, *people(3)))
    ended = stall(config, "UPDATE deliveries")
    with worker_thread(app):
        until(all_in(State.ACCEPTED, ids))
    assert ended.is_set()
    assert [outcomes(one) for one in ids] == [["accepted"]] * 3
    ledger.check(server)


@pytest.mark.fault(44)
def test_a_call_whose_transaction_was_ended_gets_503_and_the_next_one_is_served(
    system: Caller, config: Config
) -> None:
    ended = stall(config, "INSERT INTO alerts")
    assert system.raise_alert(key="one").status_code == 503
    assert ended.is_set()
    assert count(Alert) == count(Delivery) == 0
    assert system.raise_alert(key="one").status_code == 202
    assert count(Alert) == 1


def stall(config: Config, statement: str) -> threading.Event:
    """Whoever says this first does nothing more until the server has ended that transaction."""
    ended = threading.Event()

    def wait(_connection: Any, cursor: psycopg.Cursor[Any], said: str, *_: object) -> None:
        if ended.is_set() or not said.startswith(statement):
            return
        ended.set()
        pid = cursor.connection.info.backend_pid
        cursor.connection.execute("SET idle_in_transaction_session_timeout = '20ms'")
        _until_gone(config, pid)

    event.listen(db.engine, "after_cursor_execute", wait)
    return ended


def _until_gone(config: Config, pid: int) -> None:
    url = config.database_url.replace("postgresql+psycopg://", "postgresql://")
    pause = threading.Event()
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).rowcount:
            pause.wait(0.01)
