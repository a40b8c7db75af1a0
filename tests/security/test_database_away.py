"""While the database is away every page and call says so, and nothing of its insides is told."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql
from werkzeug.test import TestResponse

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import tokens
from portal.identity.models import Organization
from tests.browser import Browser
from tests.cast import Cast
from tests.databases import Database, EngineName
from tests.page_rules import broken, parse
from tests.security.test_headers import missing

_INSIDES = ("Traceback", "sqlalchemy", "psycopg", "sqlite3", "OperationalError", "SELECT", ".py")


@dataclass(frozen=True)
class Callers:
    """Who was there before the database went away."""

    nobody: FlaskClient
    alice: FlaskClient
    rita: FlaskClient
    csrf_token: str
    authorization: str


@pytest.fixture
def callers(app: Flask, cast: Cast) -> Callers:
    alice, rita = Browser(app), Browser(app)
    alice.sign_in(cast.alice)
    rita.sign_in(cast.rita)
    token = alice.open("/me/profile").form("Sign out").data["csrf_token"]
    with app.app_context():
        acme = db.session.get_one(Organization, cast.acme.id)
        _row, secret = tokens.create(acme, name="ci", scopes=["send", "read"], actor=OPERATOR)
        db.session.commit()
    return Callers(app.test_client(), alice.client, rita.client, token, f"Bearer {secret}")


@pytest.mark.fault(44)
def test_everything_says_that_the_database_is_away(
    app: Flask, callers: Callers, database: Database
) -> None:
    with _away(app, database):
        _check_all(app, callers)
    assert callers.alice.get("/me/profile").status_code == 200, "back again, it answers again"


@pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])
def test_a_file_that_is_no_database_is_answered_like_one_that_is_away(
    app: Flask, callers: Callers, database: Database
) -> None:
    _dispose(app)
    file = Path(database.url.removeprefix("sqlite:///"))
    for part in (file, Path(f"{file}-wal")):
        part.write_bytes(b"this is no database, and never was " * 200)
    _check_all(app, callers)


@pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])
def test_a_database_that_another_process_holds_is_answered_with_503(
    app: Flask, callers: Callers, database: Database
) -> None:
    _dispose(app)
    other = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    _check(app, callers.alice.get("/organizations/acme/overview"))
    assert callers.nobody.get("/health/live").status_code == 200
    other.close()
    assert callers.alice.get("/me/profile").status_code == 200, "back again, it answers again"


@pytest.mark.fault(42)
@pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])
def test_while_another_process_writes_pages_are_read_and_forms_get_503(
    app: Flask, callers: Callers, database: Database
) -> None:
    other = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writes = [call for call, is_write in _calls(callers) if is_write]
    with ThreadPoolExecutor(len(writes)) as pool:
        answers = list(pool.map(lambda call: call(), writes))
    for call, is_write in _calls(callers):
        if not is_write:
            assert call().status_code == 200
    assert callers.nobody.get("/health/ready").status_code == 200
    other.close()
    for answer in answers:
        _check(app, answer)


def _check_all(app: Flask, callers: Callers) -> None:
    for call, _is_write in _calls(callers):
        _check(app, call())
    assert callers.nobody.get("/health/live").status_code == 200
    ready = callers.nobody.get("/health/ready")
    assert ready.status_code == 503 and "database" in ready.get_json()["faults"]
    assert callers.nobody.get("/static/gatepost.css").status_code == 200
    refused = callers.nobody.get("/", headers={"Host": "evil.test"})
    assert refused.status_code == 400


def _calls(callers: Callers) -> list[tuple[Callable[[], TestResponse], bool]]:
    """Something that everyone does, and whether it writes."""
    system = {"Authorization": callers.authorization}
    form = {"csrf_token": callers.csrf_token, "name": "Alice", "title": "x"}
    alert = {"title": "Disk full", "severity": "critical"}
    return [
        (lambda: callers.nobody.get("/sign-in"), False),
        (lambda: callers.alice.get("/organizations/acme/overview"), False),
        (lambda: callers.alice.get("/me/profile"), False),
        (lambda: callers.alice.post("/me/profile", data=form), True),
        (lambda: callers.alice.post("/organizations/acme/alerts/new", data=form), True),
        (lambda: callers.rita.get("/host/overview"), False),
        (lambda: callers.rita.get("/host/senders"), False),
        (lambda: callers.nobody.get("/api/v1/alerts", headers=system), False),
        (lambda: callers.nobody.post("/api/v1/alerts", headers=system, json=alert), True),
    ]


def _check(app: Flask, answer: TestResponse) -> None:
    where = f"{answer.request.method} {answer.request.path}"
    assert answer.status_code == 503, f"{where}: {answer.status_code} {answer.text[:300]}"
    assert int(answer.headers["Retry-After"]) > 0, where
    assert not missing(answer), where
    for inside in _INSIDES:
        assert inside not in answer.text, f"{where} tells {inside}"
    if answer.request.path.startswith("/api/"):
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["status"] == 503
    else:
        assert not broken(app, answer, parse(answer)), where
        assert "Nothing can be stored right now" in answer.text, where


@contextmanager
def _away(app: Flask, database: Database) -> Iterator[None]:
    """PostgreSQL takes nobody and cuts who is there; the file of SQLite is gone."""
    if database.engine is EngineName.POSTGRESQL:
        _accept_connections(database, False)
        yield
        _accept_connections(database, True)
        return
    _dispose(app)
    file = Path(database.url.removeprefix("sqlite:///"))
    file.rename(f"{file}.away")
    file.mkdir()
    yield
    file.rmdir()
    Path(f"{file}.away").rename(file)


def _accept_connections(database: Database, accept: bool) -> None:
    name = database.url.partition("?")[0].rpartition("/")[2]
    server = database.url.replace(f"/{name}", "/postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(
                sql.Identifier(name), sql.Literal(accept)
            )
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )


def _dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()
