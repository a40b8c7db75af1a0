"""Events are rows of the change itself; the kick comes after its commit, and never before."""

import uuid
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, scoped_session

from portal import jobs
from portal.config import Config
from portal.extensions import db
from portal.jobs import Event, Waker
from tests.databases import EngineName

pytestmark = pytest.mark.usefixtures("session")
SOMEWHERE = uuid.UUID(int=7)


@pytest.fixture
def waker(app: Flask, session: scoped_session[Session], config: Config) -> Waker:
    return Waker(config.data_dir, db.engine)


def heard(waker: Waker) -> bool:
    """Whether a kick has come; does not wait for one."""
    return waker.wait(0)


def listening(waker: Waker) -> None:
    """The first wait makes the connection that listens."""
    assert not heard(waker)


def events() -> int:
    return db.session.scalar(select(func.count()).select_from(Event)) or 0


def emit() -> None:
    jobs.emit("sender_changed", organization_id=SOMEWHERE, sender="main")


def test_an_event_is_there_after_the_commit_with_what_it_says(waker: Waker) -> None:
    emit()
    db.session.commit()
    event = db.session.scalars(select(Event)).one()
    assert (event.topic, event.organization_id) == ("sender_changed", SOMEWHERE)
    assert event.data == {"sender": "main"}


def test_the_kick_comes_with_the_commit(waker: Waker) -> None:
    with waker:
        listening(waker)
        emit()
        db.session.flush()
        assert not heard(waker)
        db.session.commit()
        assert waker.wait(10)


def test_a_rollback_leaves_no_event_and_kicks_nobody_later(waker: Waker) -> None:
    with waker:
        listening(waker)
        emit()
        db.session.rollback()
        db.session.execute(text("SELECT 1"))
        db.session.commit()
        assert not heard(waker)
        assert events() == 0


def test_a_commit_without_an_event_kicks_nobody(waker: Waker) -> None:
    with waker:
        listening(waker)
        db.session.add(Event(topic="silent"))
        db.session.commit()
        assert not heard(waker)


def test_a_savepoint_neither_kicks_nor_swallows_the_kick(waker: Waker) -> None:
    with waker:
        listening(waker)
        emit()
        with db.session.begin_nested():
            db.session.add(Event(topic="inner"))
        assert not heard(waker)
        inner = db.session.begin_nested()
        inner.rollback()
        db.session.commit()
        assert waker.wait(10)


def test_one_kick_wakes_every_worker_also_those_of_one_process(
    waker: Waker, config: Config
) -> None:
    with waker, Waker(config.data_dir, db.engine) as other:
        listening(waker)
        listening(other)
        emit()
        db.session.commit()
        assert waker.wait(10)
        assert other.wait(10)


def test_many_kicks_are_one(waker: Waker) -> None:
    with waker:
        listening(waker)
        for _ in range(50):
            emit()
            db.session.commit()
        assert waker.wait(10)
        while heard(waker):
            continue  # NOTIFY may come a moment later than the datagram
        assert not heard(waker)


def test_a_worker_interrupts_itself(waker: Waker) -> None:
    with waker:
        waker.interrupt()
        assert waker.wait(10)


def test_a_worker_that_ended_leaves_nothing_behind(waker: Waker, config: Config) -> None:
    with waker:
        assert len(list((config.data_dir / "wake").iterdir())) == 1
    assert list((config.data_dir / "wake").iterdir()) == []
    emit()
    db.session.commit()


def test_what_a_killed_worker_left_is_cleared_away_and_harms_nobody(
    waker: Waker, config: Config
) -> None:
    killed = Waker(config.data_dir, db.engine)
    killed.__enter__()
    killed._socket.close()
    (config.data_dir / "wake" / "junk").write_text("no port")
    with waker:
        listening(waker)
        emit()
        db.session.commit()
        assert waker.wait(10)
        assert not Path(killed._path).exists()
    assert events() == 1


@pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL])
def test_a_worker_on_another_machine_hears_of_it_through_the_database(
    waker: Waker, tmp_path: Path
) -> None:
    with Waker(tmp_path / "another machine", db.engine) as elsewhere:
        listening(elsewhere)
        emit()
        db.session.commit()
        assert elsewhere.wait(10)


@pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL])
def test_a_lost_connection_to_the_database_is_made_anew(waker: Waker, tmp_path: Path) -> None:
    with Waker(tmp_path / "another machine", db.engine) as elsewhere:
        listening(elsewhere)
        db.session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        db.session.commit()
        assert elsewhere.wait(10)
        while heard(elsewhere):
            continue  # the farewell of the server, then the end of the connection
        emit()
        db.session.commit()
        assert elsewhere.wait(10)
