"""Faults of the database: locked, its disk full, a result that cannot be written down."""

import shutil
import sqlite3
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError

from portal import database
from portal.config import Config
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications.models import Alert
from portal.web.api import idempotency
from tests.database_lock import Lock
from tests.databases import EngineName
from tests.delivering import (
    Gate,
    all_in,
    enqueue,
    outcomes,
    record,
    take_turns,
    until,
    worker_process,
    worker_thread,
)
from tests.faults.breaking import Disk, full_disk, obey, refuse
from tests.faults.calls import Caller, count
from tests.faults.routes import people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, reply, then


@pytest.mark.fault(42)
def test_no_mail_leaves_while_its_claim_cannot_be_written_down(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    ids = ledger.note(enqueue(globex, *people(3)))
    somebody_waits = impatient(config)
    lock = Lock(config)
    lock()
    with worker_thread(app):
        until(somebody_waits)
        assert server.connections == 0
        lock.release()
        until(all_in(State.ACCEPTED, ids))
    assert [outcomes(one) for one in ids] == [["accepted"]] * 3
    ledger.check(server)


@pytest.mark.fault(42)
def test_a_call_that_waits_too_long_for_a_lock_gets_503_and_nothing_was_accepted(
    globex: Organization,
    system: Caller,
    ledger: Ledger,
    server: SmtpServer,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not config.is_sqlite:
        assert db.session.scalar(text("SHOW lock_timeout")) == database.LOCK_TIMEOUT
    monkeypatch.setattr(idempotency, "LOCK_TIMEOUT", "100ms")
    impatient(config)
    lock = Lock(config)
    lock()
    assert system.raise_alert(key="one").status_code == 503
    lock.release()
    assert count(Alert) == count(Delivery) == 0
    assert system.raise_alert(key="one").status_code == 202
    ledger.note(db.session.scalars(select(Delivery.id)))
    take_turns()
    assert len(server.messages) == len(ledger.promised) == 1
    ledger.check(server)


def impatient(config: Config) -> Callable[[], bool]:
    """Let whoever meets a lock wait a moment only; tells whether anybody had to wait."""

    def wait_little(connection: Any, _entry: object) -> None:
        if config.is_sqlite:
            connection.execute("PRAGMA busy_timeout = 100")
        else:
            connection.execute("SET lock_timeout = '100ms'")
            connection.commit()

    waited = threading.Event()
    db.session.remove()
    db.engine.dispose()
    event.listen(db.engine, "connect", wait_little)
    event.listen(db.engine, "handle_error", lambda _: waited.set())
    return waited.is_set


@pytest.mark.fault(43)
def test_a_call_that_finds_the_disk_full_gets_503_and_is_not_accepted(
    app: Flask,
    globex: Organization,
    system: Caller,
    ledger: Ledger,
    server: SmtpServer,
    config: Config,
) -> None:
    long_one = "Nothing can be written. " * 400
    with full_disk(app, config):
        answers = [system.raise_alert(long_one).status_code for _ in range(20)]
        taken = answers.count(202)
        assert set(answers[taken:]) == {503}
        assert taken < 20
    assert count(Alert) == count(Delivery) == taken
    assert system.raise_alert(long_one).status_code == 202
    ledger.note(db.session.scalars(select(Delivery.id)))
    take_turns()
    assert len(server.messages) == len(ledger.promised) == taken + 1
    ledger.check(server)


@pytest.mark.fault(43)
def test_an_acceptance_that_finds_the_disk_full_is_kept_until_there_is_room(
    globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    """Meanwhile the worker lives, and neither claims nor sends anything."""
    server.set_script(dot=[then(gate := Gate(), reply("250 2.0.0 taken"))])
    (first,) = ledger.note(enqueue(globex, *people(1)))
    with worker_process() as process:
        disk = Disk(config, process.pid or 0)
        gate.wait()
        disk.fill()
        gate.open()
        (second,) = ledger.note(enqueue(globex, *people(1)))
        server.wait_for_messages(1)
        threading.Event().wait(1.5)
        assert process.is_alive()
        assert (record(first).state, record(first).dot_pending) == (State.SENDING, True)
        assert (record(second).state, record(second).attempts) == (State.QUEUED, [])
        assert len(server.messages) == 1
        disk.free()
        until(all_in(State.ACCEPTED, [first, second]))
    assert outcomes(first) == outcomes(second) == ["accepted"]
    assert record(first).reply == "2.0.0 taken"
    ledger.check(server)


@pytest.mark.fault(45)
@pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])
def test_what_was_accepted_lies_in_the_files_before_the_answer_is_given(
    system: Caller, config: Config, tmp_path: Path
) -> None:
    """What the operating system was given at that moment is read as after a start."""
    assert db.session.scalar(text("PRAGMA synchronous")) == 2, "FULL: synced at each commit"
    db.session.rollback()
    answer = system.raise_alert()
    assert answer.status_code == 202
    file = Path(config.database_url.removeprefix("sqlite:///"))
    for part in (file, Path(f"{file}-wal")):
        shutil.copyfile(part, tmp_path / part.name.replace(file.name, "after.sqlite3"))
    after = sqlite3.connect(tmp_path / "after.sqlite3")
    (found,) = after.execute("SELECT id FROM alerts").fetchone()
    assert uuid.UUID(found) == uuid.UUID(answer.get_json()["id"])
    assert after.execute("SELECT state FROM deliveries").fetchall() == [("queued",)]
    after.close()


@pytest.mark.fault(56)
def test_a_record_that_cannot_be_written_keeps_the_result_until_it_can(
    app: Flask, globex: Organization, ledger: Ledger, server: SmtpServer, config: Config
) -> None:
    """Result and record are one transaction: never one without the other."""
    refuse(config, "attempts", "UPDATE", "io_error")
    refused = threading.Event()
    event.listen(db.engine, "handle_error", lambda _: refused.set())
    (one,) = ledger.note(enqueue(globex, *people(1)))
    with worker_thread(app):
        server.wait_for_messages(1)
        until(refused.is_set)
        assert record(one).state is State.SENDING
        assert [attempt.outcome for attempt in record(one).attempts] == [None]
        obey(config, "attempts")
        until(all_in(State.ACCEPTED, [one]))
    assert outcomes(one) == ["accepted"]
    assert len(server.messages) == 1
    ledger.check(server)


@pytest.mark.fault(44)
def test_a_commit_of_which_nobody_knows_is_resolved_by_the_key_of_the_call(
    globex: Organization,
    system: Caller,
    ledger: Ledger,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database takes the commit, and the connection is lost before it says so."""
    commit = db.session.commit
    losses = [OperationalError("COMMIT", {}, Exception("the server closed the connection"))]

    def and_is_lost() -> None:
        alerts = db.session.scalar(select(func.count()).select_from(Alert))
        commit()
        if alerts and losses:
            raise losses.pop()

    monkeypatch.setattr(db.session, "commit", and_is_lost)
    assert system.raise_alert(key="one").status_code == 503
    monkeypatch.undo()
    assert losses == []
    again = system.raise_alert(key="one")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert count(Alert) == count(Delivery) == 1
    ledger.note(db.session.scalars(select(Delivery.id)))
    take_turns()
    assert len(server.messages) == 1
    ledger.check(server)
