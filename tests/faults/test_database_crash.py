"""PostgreSQL stopped at once and started again, in the middle of a mail and of a call."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from portal.app import create_app
from portal.config import Config
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.jobs import Waker
from portal.notifications.models import Alert
from tests.conftest import migrate
from tests.databases import EngineName
from tests.delivering import all_in, enqueue, outcomes, take_turns, until, worker_thread
from tests.faults.calls import Caller, count
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then

pytestmark = [
    pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"]),
    pytest.mark.xdist_group("crashing postgresql"),
]


_BY_CLIENT = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 15_000,
}
_BY_SERVER = {
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
}


@pytest.fixture(scope="module")
def postgresql_template() -> Iterator[CrashingPostgres]:
    template = CrashingPostgres(migrate)
    yield template
    template.close()


@pytest.mark.fault(44)
def test_a_worker_outlives_a_database_that_stops_before_the_result_is_stored(
    app: Flask,
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    postgresql_template: CrashingPostgres,
) -> None:
    server.set_script(dot=[None, then(postgresql_template.crash, reply("250 2.0.0 taken"))])
    ids = ledger.note(enqueue(globex, *people(4)))
    with worker_thread(app):
        server.wait_for_messages(4, seconds=30)
        until(all_in(State.ACCEPTED, ids))
    assert [outcomes(one) for one in ids] == [["accepted"]] * 4
    ledger.check(server)


@pytest.mark.fault(44, 45)
def test_what_was_answered_survives_and_what_was_not_is_called_again_by_its_key(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    system: Caller,
    postgresql_template: CrashingPostgres,
) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert db.session.scalar(text(f"SHOW {setting}")) == "on"
    assert system.raise_alert("first").status_code == 202
    event.listen(db.engine, "commit", postgresql_template.crash, once=True)
    assert system.raise_alert("second", key="two").status_code == 503
    assert count(Alert) == count(Delivery) == 1

    assert system.raise_alert("second", key="two").status_code == 202
    assert count(Alert) == count(Delivery) == 2
    ledger.note(db.session.scalars(select(Delivery.id)))
    take_turns()
    assert len(server.messages) == 2
    ledger.check(server)


@pytest.mark.fault(44)
def test_both_ends_of_a_connection_over_the_network_give_up_one_that_fell_silent(
    app: Flask, config: Config, tmp_path: Path, postgresql_template: CrashingPostgres
) -> None:
    with app.app_context():
        name = db.engine.url.database
    with postgresql_template.reached_by_tcp() as port:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}"
        remote = create_app(replace(config, database_url=url))
        with remote.app_context(), Waker(tmp_path, db.engine) as waker:
            _, listening = waker.ears()
            assert options_of(listening) == _BY_CLIENT
            with db.engine.connect() as connection:
                assert options_of(connection.connection) == _BY_CLIENT
                shown = {one: connection.scalar(text(f"SHOW {one}")) for one in _BY_SERVER}
            assert shown == _BY_SERVER
            db.engine.dispose()


def options_of(connection: Any) -> dict[int, int]:
    """What the operating system was told about the socket of a connection."""
    with socket.socket(fileno=os.dup(connection.fileno())) as its:
        return {one: its.getsockopt(socket.IPPROTO_TCP, one) for one in _BY_CLIENT}
