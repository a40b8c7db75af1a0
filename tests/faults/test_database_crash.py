"""PostgreSQL stopped at once and started again, in the middle of a mail and of a call."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
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
