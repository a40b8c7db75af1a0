"""The next version's tables, while a worker of this one runs."""

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from portal.config import Config
from portal.delivery.models import State
from portal.extensions import db
from portal.identity.models import Organization
from tests.delivering import all_in, enqueue, until, worker_thread
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer

_EXPANDED = ("deliveries", "attempts", "workers", "senders", "sender_versions", "organizations")


@pytest.mark.usefixtures("session")
def test_a_worker_goes_on_while_its_tables_get_columns(
    app: Flask, config: Config, globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    with worker_thread(app):
        # Often enough that statements have been prepared.
        for _ in range(8):
            until(all_in(State.ACCEPTED, ledger.note(enqueue(globex, *people(1)))))
        expand(config)
        for _ in range(2):
            until(all_in(State.ACCEPTED, ledger.note(enqueue(globex, *people(1)))))
    ledger.check(server)


def expand(config: Config) -> None:
    db.session.rollback()
    engine = create_engine(config.database_url)
    with engine.begin() as connection:
        for table in _EXPANDED:
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN later VARCHAR(10)"))
            connection.execute(
                text(f"ALTER TABLE {table} ADD COLUMN much_later INTEGER NOT NULL DEFAULT 7")
            )
    engine.dispose()
