"""`portal backup` and `portal restore`, on both engines."""

import json
import os
import pwd
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal import keys
from portal.app import create_app
from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.config import Config
from portal.delivery import claims, recovering, sweeping
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization, User
from portal.settings import logos
from portal.settings.models import Logo, PassedTest, TestRun
from portal.settings.scope import Scope
from tests.cast import assemble
from tests.databases import Database, EngineName, Template
from tests.delivering import enqueue
from tests.images import LOGO
from tests.portal.cli.commands import invoke

SQLITE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
WAITING = (State.QUEUED, State.SENDING, State.DEFERRED, State.HELD)


@contextmanager
def opened(settings: dict[str, str]) -> Iterator[Flask]:
    """The application within a context; leaves no connection open."""
    app = create_app(Config.from_environment(settings))
    with app.app_context():
        try:
            keys.ensure(app)
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def here(settings: dict[str, str]) -> dict[str, str]:
    """An installation with people, and with a mail in each state that waits."""
    with opened(settings) as app:
        assemble(app)
        acme = db.session.query(Organization).filter_by(slug="acme").one()
        states = (*WAITING, State.ACCEPTED)
        logos.save(Scope.of(acme), LOGO, actor=OPERATOR)
        ids = enqueue(acme, *(Addressee(f"{state}@acme.test") for state in states))
        for delivery_id, state in zip(ids, states, strict=True):
            delivery = db.session.get_one(Delivery, delivery_id)
            delivery.state, delivery.next_attempt_at, delivery.reason = state, utcnow(), None
            if state is State.SENDING:
                _begin(delivery)
        db.session.commit()
    return settings


@pytest.fixture
def elsewhere(template: Template, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of another machine, with nothing yet."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    fresh: Database = template.empty(folder)
    yield {"PORTAL_DATABASE_URL": fresh.url, "PORTAL_DATA_DIR": str(folder / "data")}
    template.drop(fresh)


def test_a_backup_with_keys_brings_everything_back_elsewhere(
    here: dict[str, str], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    written = invoke(here, "backup", archive, "--with-keys")
    assert written.exit_code == 0, written.output
    assert f"WARNING: {archive} holds the keys" in written.output
    assert archive.stat().st_mode & 0o777 == 0o600
    with opened(here):
        before = rows()
        sealed = keys.vault().seal("secret", context=("place",))
    restored = invoke(elsewhere, "restore", archive)
    assert restored.exit_code == 0, restored.output
    assert "Mail that waited then: 4. It is held (Restored from backup)" in restored.output
    assert "portal send-restored" in restored.output
    for name in ("encryption-keys", "secret-key"):
        brought = Path(elsewhere["PORTAL_DATA_DIR"]) / name
        assert brought.stat().st_mode & 0o777 == 0o600
        assert brought.read_text() == (Path(here["PORTAL_DATA_DIR"]) / name).read_text()
    with opened(elsewhere):
        after = rows()
        assert after.pop("audit_entries") == before.pop("audit_entries") + 1
        assert after == before
        assert keys.vault().open(sealed, context=("place",)) == "secret"
        assert db.session.scalars(select(Logo.content)).all() == [LOGO]
        assert db.session.scalars(
            select(AuditEntry.changes).where(AuditEntry.action == "installation.restored")
        ).one()["waiting_mail"] == len(WAITING)
    assert invoke(elsewhere, "db", "check").exit_code == 0


def test_mail_that_waited_is_held_and_no_sweep_releases_it(
    here: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    assert invoke(here, "backup", archive).exit_code == 0
    assert invoke(here, "restore", archive, "--replace").exit_code == 0
    with opened(here):
        sweeping.release_sealed()
        sweeping.handle_events()
        sweeping.probe_paused_senders()
        sweeping.release_stranded()
        recovering.recover_expired()
        found = {row.recipient: row for row in db.session.scalars(select(Delivery))}
        for state in WAITING:
            row = found[f"{state}@acme.test"]
            assert (row.state, row.reason) == (State.HELD, "restored_from_backup")
            assert row.next_attempt_at is row.lease_owner is None
        assert found["accepted@acme.test"].state is State.ACCEPTED
        begun = db.session.scalars(select(Attempt)).one()
        assert (begun.outcome, begun.cause) == (AttemptOutcome.UNKNOWN, "restored_from_backup")
        assert not claims.claim("worker", limit=10)


def test_mail_that_is_held_since_a_restore_is_let_go_by_a_person(
    here: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive)
    restored = invoke(here, "restore", archive, "--replace")
    assert "portal send-restored" in restored.output
    assert invoke(here, "send-restored", "--organization", "globex").output.startswith("No mail")
    assert invoke(here, "send-restored").exit_code == 1, "it asks, and nobody answers"
    sent = invoke(here, "send-restored", "--organization", "acme", "--yes")
    assert sent.output.startswith(f"Queued: {len(WAITING)}."), sent.output
    with opened(here):
        held = db.session.scalars(select(Delivery).where(Delivery.state == State.QUEUED)).all()
        assert len(held) == len(WAITING)
        assert all(row.may_be_duplicate and row.reason is None for row in held)
        assert len(claims.claim("worker", limit=10)) == len(WAITING)
        done = AuditEntry.action == "installation.restored_mail_sent"
        (entry,) = db.session.scalars(select(AuditEntry).where(done))
        assert entry.changes["mails"]["after"] == len(WAITING)


def test_mail_that_waited_goes_out_where_that_was_asked_for(
    here: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive)
    restored = invoke(here, "restore", archive, "--replace", "--send-waiting")
    assert restored.exit_code == 0, restored.output
    assert "what went out after the backup was made goes out twice" in restored.output
    with opened(here):
        states = sorted(db.session.scalars(select(Delivery.state)))
        assert states == sorted((*WAITING, State.ACCEPTED))
        assert len(claims.claim("worker", limit=10)) == 2


def test_a_backup_holds_one_moment_while_others_write(here: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "gatepost.tar"
    stop, begun = threading.Event(), threading.Event()

    def write_pairs() -> None:
        with opened(here):
            while not stop.is_set():
                db.session.add(PassedTest(scope="host", digest="0"))
                db.session.flush()
                db.session.add(TestRun(scope="host", actor="rita"))
                db.session.commit()
                begun.set()

    writer = threading.Thread(target=write_pairs)
    writer.start()
    begun.wait(30)
    try:
        for number in range(3):
            taken = archive.with_suffix(f".{number}")
            written = invoke(here, "backup", taken)
            assert written.exit_code == 0, written.output
            counted = manifest(taken)["rows"]
            assert counted["passed_tests"] == counted["sender_test_runs"] > 0
    finally:
        stop.set()
        writer.join(30)


def test_a_backup_without_keys_names_them_and_needs_them(
    here: dict[str, str], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    written = invoke(here, "backup", archive)
    (key_id,) = manifest(archive)["key_ids"]
    folder = Path(here["PORTAL_DATA_DIR"])
    assert f"keep {folder}/encryption-keys (key {key_id})" in written.output
    key = (folder / "encryption-keys").read_text().strip().partition(":")[2]
    assert key.encode() not in archive.read_bytes()
    refused = invoke(elsewhere, "restore", archive)
    assert refused.exit_code == 1
    assert f"passwords are missing: {key_id}." in refused.stderr
    given = {
        **elsewhere,
        "PORTAL_ENCRYPTION_KEYS": f"{key_id}:{key}",
        "PORTAL_SECRET_KEY": (folder / "secret-key").read_text().strip(),
    }
    assert invoke(given, "restore", archive).exit_code == 0
    assert not (Path(elsewhere["PORTAL_DATA_DIR"]) / "encryption-keys").exists()


def test_what_cannot_be_restored_leaves_all_as_it_was(here: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive, "--with-keys")
    with opened(here):
        db.session.add(Organization(slug="later", name="Later"))
        db.session.commit()
        before = rows()
    folder = Path(here["PORTAL_DATA_DIR"])
    files = {path.name: path.read_bytes() for path in folder.glob("*-key*")}
    whole = archive.read_bytes()
    newer = manifest(archive) | {"schema": "9999", "version": "99.0"}
    other = manifest(archive) | {"engine": "oracle"}
    cases = {
        "is damaged": whole.replace(b"alice@acme.test", b"mallory@acm.tes"),
        "is no whole backup": whole[: len(whole) // 2],
        "is no whole backup ": b"this is a letter to my mother",
        "by a newer version (Gatepost 99.0": repacked(archive, newer),
        "The archive holds a oracle database": repacked(archive, other),
    }
    for told, content in cases.items():
        (tmp_path / "wrong.tar").write_bytes(content)
        refused = invoke(here, "restore", tmp_path / "wrong.tar", "--replace")
        assert refused.exit_code == 1
        assert told.strip() in refused.stderr
    refused = invoke(here, "restore", archive)
    assert "stop the portal and add --replace" in refused.stderr
    assert invoke(here, "restore", tmp_path / "none.tar", "--replace").exit_code == 1
    assert "is there already" in invoke(here, "backup", archive).stderr
    with opened(here):
        assert rows() == before
        assert not left_behind()
    assert {path.name: path.read_bytes() for path in folder.glob("*-key*")} == files
    assert not list(folder.glob(".*")) and not list(tmp_path.glob(".*"))


def test_an_installation_in_use_is_not_replaced(here: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive, "--with-keys")
    secret = Path(here["PORTAL_DATA_DIR"]) / "secret-key"
    secret.write_text("another key that signs the cookies of a test\n")
    app = create_app(Config.from_environment(here))
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM users"))
        connection.commit()
        refused = invoke(here, "restore", archive, "--replace")
        assert refused.exit_code == 1
        assert "in use" in refused.stderr and "Stop the portal" in refused.stderr
    with opened(here):
        assert db.session.query(User).count() == 5
        assert not left_behind()
    assert secret.read_text() == "another key that signs the cookies of a test\n"


def test_what_a_killed_restore_left_behind_goes_with_the_next_one(
    here: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive)
    left = Path(here["PORTAL_DATA_DIR"]) / ".restore-killed"
    left.mkdir()
    (left / "encryption-keys").write_text("k1:key")
    (tmp_path / ".gatepost.sqlite3.killed").write_text("half a database")
    with opened(here):
        if db.engine.dialect.name == "postgresql":
            db.session.execute(text("CREATE SCHEMA gatepost_restore_0123abcd"))
            db.session.commit()
            said = invoke(here, "doctor").stdout
            assert "WARNING  restore: The schema gatepost_restore_0123abcd" in said
    assert invoke(here, "restore", archive, "--replace").exit_code == 0
    assert not left.exists()
    with opened(here):
        assert not left_behind()
    if "sqlite" in here["PORTAL_DATABASE_URL"]:
        assert not (tmp_path / ".gatepost.sqlite3.killed").exists()


@SQLITE
def test_a_damaged_file_is_replaced_and_kept(here: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "gatepost.tar"
    invoke(here, "backup", archive)
    file = tmp_path / "gatepost.sqlite3"
    file.write_bytes(b"this is a letter to my mother\n" * 500)
    assert "cannot be copied" in invoke(here, "backup", tmp_path / "second.tar").stderr
    assert invoke(here, "restore", archive).exit_code == 1
    restored = invoke(here, "restore", archive, "--replace")
    assert restored.exit_code == 0, restored.output
    assert f"The damaged database was kept as {file}.damaged." in restored.output
    assert (tmp_path / "gatepost.sqlite3.damaged").read_bytes().startswith(b"this is a letter")
    with opened(here):
        assert db.session.query(User).count() == 5


def rows() -> dict[str, int]:
    """How many rows each table has."""
    counts = {
        name: db.session.scalar(text(f'SELECT count(*) FROM "{name}"'))
        for name in db.metadata.tables
    }
    db.session.rollback()
    return {name: count or 0 for name, count in counts.items()}


def left_behind() -> list[str]:
    """Schemas of a restore that did not go away."""
    if db.engine.dialect.name == "sqlite":
        return []
    query = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'gatepost_restore%'"
    return list(db.session.scalars(text(query)))


def manifest(archive: Path) -> dict[str, object]:
    with tarfile.open(archive) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        found: dict[str, object] = json.load(file)
    return found


def repacked(archive: Path, described: dict[str, object]) -> bytes:
    """The archive with another manifest."""
    folder = archive.with_name("repacked")
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        names = tar.getnames()
    (folder / "manifest.json").write_text(json.dumps(described))
    made = archive.with_name("repacked.tar")
    with tarfile.open(made, "w") as tar:
        for name in names:
            tar.add(folder / name, arcname=name)
    return made.read_bytes()


def _begin(delivery: Delivery) -> None:
    """As a worker leaves it right before the server answers."""
    delivery.lease_owner, delivery.lease_until = "gone", utcnow()
    delivery.dot_pending = True
    db.session.add(
        Attempt(
            delivery_id=delivery.id,
            organization_id=delivery.organization_id,
            number=1,
            started_at=utcnow(),
        )
    )


def test_a_file_that_cannot_be_looked_for_is_refused_in_one_line(settings: dict[str, str]) -> None:
    name = "x" * 300
    for command in (("backup", name), ("restore", name)):
        refused = invoke(settings, *command)
        assert refused.exit_code == 1
        assert f"{name} cannot be" in refused.stderr and "File name too long" in refused.stderr


@SQLITE
def test_root_makes_no_files_in_a_data_folder_of_another_user(
    here: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar"
    folder = Path(here["PORTAL_DATA_DIR"])
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert invoke(here, "backup", file).exit_code == 0
    owner = pwd.getpwuid(folder.stat().st_uid).pw_name
    for command in (("restore", file, "--replace"), ("db", "upgrade")):
        refused = invoke(here, *command)
        assert refused.exit_code == 1
        assert f"runuser -u {owner} -- portal" in refused.stderr
