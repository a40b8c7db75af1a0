"""Transactions, durability, times and JSON: the same on both engines."""

import enum
import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.orm import Session, scoped_session

from portal import database
from portal.config import Config
from portal.database import client_options, in_a_hurry, reading_only, rows_changed, text_enum
from portal.extensions import db
from portal.jobs import Event
from tests.databases import EngineName

SQLITE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
EASTWARD = timezone(timedelta(hours=8))
NOW = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def events(session: scoped_session[Session]) -> scoped_session[Session]:
    return session


def stored(events: scoped_session[Session], **values: object) -> Event:
    event = Event(topic="test", **values)
    events.add(event)
    events.commit()
    events.expire_all()
    return events.scalars(select(Event)).one()


@pytest.mark.parametrize("moment", [NOW, NOW.astimezone(EASTWARD)])
def test_a_time_comes_back_aware_in_utc_to_the_microsecond(
    events: scoped_session[Session], moment: datetime
) -> None:
    found = stored(events, created_at=moment).created_at
    assert found == NOW
    assert found.utcoffset() == timedelta(0)


def test_times_are_compared_as_moments(events: scoped_session[Session]) -> None:
    stored(events, created_at=NOW)
    for other, later in ((NOW - timedelta(microseconds=1), True), (NOW, False)):
        there = events.scalar(select(Event.id).where(Event.created_at > other.astimezone(EASTWARD)))
        assert (there is not None) is later


def test_a_time_without_a_zone_is_refused(events: scoped_session[Session]) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        stored(events, created_at=NOW.replace(tzinfo=None))
    events.rollback()


def test_json_comes_back_as_it_was(events: scoped_session[Session]) -> None:
    value = {"text": "磁盘 🗄 \"'", "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
    assert stored(events, data=value).data == value


def test_how_many_rows_changed_is_told(events: scoped_session[Session]) -> None:
    stored(events)
    matching = update(Event).where(Event.topic == "test").values(topic="other")
    assert rows_changed(events.execute(matching)) == 1
    assert rows_changed(events.execute(matching)) == 0


class Colour(enum.StrEnum):
    RED = "red"


def test_a_text_enum_stores_the_value_as_text() -> None:
    column = text_enum(Colour)
    assert column.enums == ["red"]
    assert not column.native_enum


@SQLITE
def test_sqlite_is_durable_checks_keys_and_waits_five_seconds(
    events: scoped_session[Session],
) -> None:
    found = {
        name: events.scalar(text(f"PRAGMA {name}"))
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    full = 2
    assert found == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


@SQLITE
def test_a_transaction_that_may_write_takes_the_lock_at_its_begin(
    events: scoped_session[Session], config: Config
) -> None:
    events.execute(text("SELECT 1"))
    assert not may_write(config)
    events.rollback()
    assert may_write(config)


@SQLITE
def test_a_long_transaction_lets_a_short_one_that_came_later_begin_first(
    app: Flask, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 1600)
    begun: list[str] = []
    pause = threading.Event()

    def write(name: str, hurries: bool) -> None:
        in_a_hurry(hurries)
        with app.app_context():
            db.session.execute(text("SELECT 1"))
            begun.append(name)

    waiting = [
        threading.Thread(target=write, args=("long", False)),
        threading.Thread(target=write, args=("short", True)),
    ]
    with Writing(config):
        for thread in waiting:
            thread.start()
            pause.wait(0.1)
    for thread in waiting:
        thread.join()
    assert begun == ["short", "long"]


@SQLITE
def test_a_page_that_reads_leaves_the_lock_alone_and_waits_for_no_writer(
    events: scoped_session[Session], config: Config
) -> None:
    reading_only(True)
    try:
        events.execute(select(Event.id))
        assert may_write(config)
        with Writing(config):
            events.rollback()
            assert events.scalars(select(Event.id)).all() == []
    finally:
        events.rollback()
        reading_only(False)


@SQLITE
def test_a_reader_sees_one_state_from_its_first_look_to_its_end(
    events: scoped_session[Session], config: Config
) -> None:
    reading_only(True)
    try:
        assert events.scalars(select(Event.id)).all() == []
        other = create_engine(config.database_url)
        with other.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO events (id, topic, data, created_at) "
                    "VALUES ('00000000000000000000000000000001', 't', '{}', "
                    "'2026-11-21 08:00:00.000000')"
                )
            )
        other.dispose()
        assert events.scalars(select(Event.id)).all() == []
        events.rollback()
        assert len(events.scalars(select(Event.id)).all()) == 1
    finally:
        events.rollback()
        reading_only(False)


def test_a_lost_update_is_not_possible_where_the_row_is_locked(
    events: scoped_session[Session], config: Config
) -> None:
    event = stored(events)
    events.scalars(select(Event).where(Event.id == event.id).with_for_update()).one()
    other = create_engine(config.database_url, connect_args=_impatient(config))
    with other.connect() as connection:
        if not config.is_sqlite:
            connection.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(OperationalError):
            connection.execute(update(Event).values(topic="lost"))
    other.dispose()
    events.rollback()
    assert events.scalars(select(Event.topic)).one() == "test"


def test_what_the_url_says_of_the_connection_goes_before_what_we_say() -> None:
    url = "postgresql+psycopg://gatepost@db/gatepost?keepalives_idle=60&sslmode=require"
    options = client_options(url)
    assert "keepalives_idle" not in options
    assert {"connect_timeout", "keepalives_count", "tcp_user_timeout"} < set(options)


def may_write(config: Config) -> bool:
    connection = _open(config)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


class Writing:
    """Somebody else is in a transaction that writes."""

    def __init__(self, config: Config) -> None:
        self._connection = _open(config)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _open(config: Config) -> sqlite3.Connection:
    path = config.database_url.removeprefix("sqlite:///")
    return sqlite3.connect(path, timeout=0, isolation_level=None)


def _impatient(config: Config) -> dict[str, float]:
    return {"timeout": 0.05} if config.is_sqlite else {}
