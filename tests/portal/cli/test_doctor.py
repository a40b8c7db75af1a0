"""`portal doctor` finds what is wrong with an installation, and says what to do."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from portal import jobs, keys
from portal.app import create_app
from portal.clock import utcnow
from portal.config import Config
from portal.delivery.health import SENDER_FAILING
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State, Worker
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.jobs import Heartbeat
from portal.settings.models import Sender
from tests.cast import assemble
from tests.databases import Database, EngineName
from tests.delivering import enqueue
from tests.portal.cli.commands import free_port, invoke

SQLITE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
Findings = dict[str, list[dict[str, str]]]


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on this machine where somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


@pytest.fixture
def installation(settings: dict[str, str], listening: int) -> Iterator[Flask]:
    """An installation whose senders lead to a port that answers, with a worker that lives."""
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    assemble(app, smtp_port=listening)
    with app.app_context():
        for sender in db.session.query(Sender).filter(Sender.organization_id.is_not(None)):
            sender.enabled = False  # its server is on this machine, which the guard forbids
        db.session.add(Worker(id="machine:1:abc"))
        jobs.beat("jobs", lease_now())
        db.session.remove()
        yield app
        db.session.remove()
        db.engine.dispose()


def examined(settings: dict[str, str], *, code: int) -> Findings:
    """The findings of `portal doctor --json` by check; every one that is not fine has a cure."""
    done = invoke(settings, "doctor", "--json")
    assert done.exit_code == code, done.output
    report = json.loads(done.stdout)
    assert report["ok"] is (code == 0)
    found: Findings = {}
    for finding in report["findings"]:
        assert bool(finding["cure"]) == (finding["level"] != "ok"), finding
        found.setdefault(finding["check"], []).append(finding)
    return found


def levels(found: Findings) -> dict[str, str]:
    """The worst level of each check that is not fine."""
    order = ("ok", "warning", "fault")
    worst = {
        check: max((one["level"] for one in of_check), key=order.index)
        for check, of_check in found.items()
    }
    return {check: level for check, level in worst.items() if level != "ok"}


@pytest.mark.usefixtures("installation")
def test_a_sound_installation_has_no_fault(settings: dict[str, str]) -> None:
    found = examined(settings, code=0)
    assert not levels(found)
    wanted = {"configuration", "data folder", "key files", "disk", "database", "schema", "keys"}
    assert wanted | {"workers", "jobs", "queue", "default sender", "mail servers"} <= set(found)
    told = invoke(settings, "doctor")
    assert told.exit_code == 0
    assert told.output.endswith("Faults: 0. Warnings: 0.\n")


def test_mail_that_nobody_delivers_is_told(installation: Flask, settings: dict[str, str]) -> None:
    with installation.app_context():
        bob, dave = Addressee("bob@acme.test"), Addressee("dave@both.test")
        waiting, held = enqueue(_acme(), bob, dave)
        long_ago = utcnow() - timedelta(hours=1)
        due = db.session.get_one(Delivery, waiting)
        due.state, due.next_attempt_at = State.QUEUED, long_ago
        restored = db.session.get_one(Delivery, held)
        restored.state, restored.reason = State.HELD, "restored_from_backup"
        for worker in db.session.query(Worker):
            worker.heartbeat_at = long_ago
        db.session.query(Heartbeat).update({"at": long_ago})
        platform = db.session.query(Sender).filter_by(name="platform").one()
        platform.consecutive_failures, platform.last_failure_cause = 1, "connect_refused"
        platform.versions[-1].port = free_port()
        db.session.commit()
    found = examined(settings, code=1)
    assert levels(found) == {
        "workers": "fault",
        "jobs": "fault",
        "queue": "fault",
        "held mail": "warning",
        "restored mail": "warning",
        "failing senders": "fault",
        "mail servers": "fault",
    }
    assert "Mail that is due: 1; the oldest for 36" in found["queue"][0]["message"]
    assert found["failing senders"][0]["cure"] == "Run: portal sender test platform --to ADDRESS"
    assert "does not answer" in found["mail servers"][0]["message"]
    assert found["restored mail"][0]["cure"].endswith("run: portal send-restored")


def test_a_server_that_does_not_answer_what_it_was_sent_is_told(
    installation: Flask, settings: dict[str, str]
) -> None:
    now = utcnow()
    with installation.app_context():
        rows = enqueue(_acme(), *(Addressee(f"{name}@acme.test") for name in "abcd"))
        platform = db.session.query(Sender).filter_by(name="platform").one()
        # The last is taken, and its try has not begun.
        for seconds, one in zip((30, 150, 450, None), rows, strict=True):
            delivery = db.session.get_one(Delivery, one)
            delivery.state, delivery.sender_id = State.SENDING, seconds and platform.id
            if seconds:
                attempt = Attempt(delivery_id=one, number=1, server="mx.x.test")
                attempt.started_at = now - timedelta(seconds=seconds)
                db.session.add(attempt)
        db.session.commit()
    found = examined(settings, code=0)
    assert levels(found) == {"mail on its way": "warning"}
    (told,) = found["mail on its way"]
    assert told["message"] == (
        "The sender platform of the host waits for the answer of mx.x.test for 7 minutes; "
        "mail that waits so: 2."
    )
    with installation.app_context():
        db.session.query(Attempt).update({"outcome": AttemptOutcome.ACCEPTED})
        db.session.commit()
    assert not levels(examined(settings, code=0))


def test_a_server_that_takes_connections_and_says_nothing_is_not_said_to_answer(
    installation: Flask, settings: dict[str, str]
) -> None:
    with installation.app_context():
        platform = db.session.query(Sender).filter_by(name="platform").one()
        platform.consecutive_failures, platform.last_failure_cause = 1, "no_greeting"
        (one,) = enqueue(_acme(), Addressee("bob@acme.test"))
        held = db.session.get_one(Delivery, one)
        held.state, held.reason, held.sender_id = State.HELD, SENDER_FAILING, platform.id
        db.session.commit()
    found = examined(settings, code=1)
    assert levels(found) == {"failing senders": "fault", "held mail": "warning"}
    assert found["mail servers"][0]["message"].endswith(
        " can be connected to (sender platform of the host)."
    )
    assert found["held mail"][0]["message"] == (
        "Mail that is held: 1. What waits for a failing sender leaves by itself when that works "
        "again; all else waits for somebody to act."
    )


def test_a_server_that_an_organization_may_not_reach_is_not_connected_to(
    installation: Flask, settings: dict[str, str]
) -> None:
    with installation.app_context():
        db.session.query(Sender).update({"enabled": True})
        db.session.commit()
    found = examined(settings, code=0)
    assert levels(found) == {"mail servers": "warning"}
    (refused,) = (one for one in found["mail servers"] if one["level"] == "warning")
    assert "is a destination that organizations may not connect to" in refused["message"]
    assert "--organization globex" in refused["cure"]


@pytest.mark.usefixtures("installation")
def test_keys_that_are_gone_or_open_to_others_are_told(settings: dict[str, str]) -> None:
    folder = Path(settings["PORTAL_DATA_DIR"])
    (folder / "secret-key").chmod(0o644)
    folder.chmod(0o755)
    found = examined(settings, code=1)
    assert levels(found) == {"key files": "fault", "data folder": "warning"}
    assert f"Close it: chmod 600 {folder}/secret-key" in [one["cure"] for one in found["key files"]]
    (folder / "encryption-keys").unlink()
    found = examined(settings, code=1)
    assert levels(found)["keys"] == "fault"
    assert "mail servers" in found
    other = {**settings, "PORTAL_ENCRYPTION_KEYS": "other:" + "A" * 43 + "="}
    (missing,) = examined(other, code=1)["keys"]
    assert "missing" in missing["message"]


def test_an_older_and_a_newer_database_have_different_cures(
    installation: Flask, settings: dict[str, str]
) -> None:
    with installation.app_context():
        db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        db.session.commit()
    (schema,) = examined(settings, code=1)["schema"]
    assert "which this version does not know" in schema["message"]


@pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"])
def test_a_clock_that_is_not_the_databases_is_told(
    installation: Flask, settings: dict[str, str]
) -> None:
    assert "clock" not in examined(settings, code=0)
    with time_machine.travel(utcnow() + timedelta(minutes=10)):
        (clock,) = examined(settings, code=0)["clock"]
    assert clock["level"] == "warning"
    assert " s ahead of the database's" in clock["message"]


def test_an_empty_database_is_told(empty_database: Database, tmp_path: Path) -> None:
    settings = {"PORTAL_DATABASE_URL": empty_database.url, "PORTAL_DATA_DIR": str(tmp_path)}
    found = examined(settings, code=1)
    if empty_database.engine is EngineName.POSTGRESQL:
        assert found["schema"][0]["cure"] == "Run: portal db upgrade"
    else:
        assert "is not there" in found["database"][0]["message"]
        assert not list(tmp_path.iterdir())


def test_a_database_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://gatepost:canary@127.0.0.1:9/gatepost"
    settings = {"PORTAL_DATABASE_URL": url, "PORTAL_DATA_DIR": str(tmp_path)}
    done = invoke(settings, "doctor")
    assert done.exit_code == 1
    assert "FAULT    database: " in done.output
    assert "Check PORTAL_DATABASE_URL and that the server runs." in done.output
    assert "canary" not in done.output


@SQLITE
@pytest.mark.usefixtures("installation")
def test_a_damaged_file_is_told(settings: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "gatepost.sqlite3"
    with db.engine.connect() as connection:
        # The last one to close takes over the write-ahead log.
        connection.invalidate()
    db.engine.dispose()
    content = bytearray(file.read_bytes())
    content[8192 : 8192 + 40960] = b"\xa5" * 40960
    file.write_bytes(bytes(content))
    found = examined(settings, code=1)
    damaged = [*found.get("database file", []), *found["database"]]
    assert any(one["level"] == "fault" and "portal restore" in one["cure"] for one in damaged)


def test_a_wrong_setting_is_told_and_ends_the_look(tmp_path: Path) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path), "PORTAL_BASE_URL": "ftp://portal"}
    found = examined(settings, code=1)
    assert list(found) == ["configuration"]
    assert "PORTAL_BASE_URL" in found["configuration"][0]["message"]


def _acme() -> Organization:
    return db.session.query(Organization).filter_by(slug="acme").one()


def test_a_data_folder_that_cannot_be_looked_for_is_a_fault_of_its_own(tmp_path: Path) -> None:
    found = examined({"PORTAL_DATA_DIR": str(tmp_path / ("x" * 300))}, code=1)
    assert levels(found) == {"data folder": "fault"}
