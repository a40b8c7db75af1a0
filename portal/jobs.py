"""Event rows and the kick: how a floor tells the one above that something happened.

An event is a row written in the transaction of the change. A kick wakes the delivery workers
after the commit: a datagram to each worker on this machine, and NOTIFY on PostgreSQL for the
others. A lost kick costs seconds, never a mail: workers sweep every ten seconds.
"""

import contextlib
import os
import select as selectors
import socket
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from flask import current_app
from sqlalchemy import Engine, Index, String, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.clock import monotonic, new_id, utcnow
from portal.database import JsonColumn, UtcDateTime, client_options
from portal.extensions import db

_CHANNEL = "gatepost_delivery"
_MARK = "kick"
# A database that cannot be listened to is asked again after so many seconds.
_LISTEN_AGAIN = 5.0


class Event(db.Model):
    """Something that the floor above will act on. Deleted when it was handled."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_organization_id", "organization_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column()
    topic: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]] = mapped_column(JsonColumn, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Heartbeat(db.Model):
    """When a role that runs in any number of processes was last at work."""

    __tablename__ = "heartbeats"

    role: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def beat(role: str, at: datetime) -> None:
    """Say that this role is at work, and commit. `at`: by the clock that all machines share."""
    db.session.merge(Heartbeat(role=role, at=at))
    db.session.commit()


def last_beat(role: str) -> datetime | None:
    row = db.session.get(Heartbeat, role)
    return row.at if row is not None else None


def emit(topic: str, *, organization_id: uuid.UUID | None, **data: Any) -> None:
    """Add an event to the session and wake the workers when it is committed."""
    db.session.add(Event(topic=topic, organization_id=organization_id, data=data))
    kick_after_commit()


def kick_after_commit() -> None:
    """Wake the workers once the present transaction has been committed."""
    db.session.info[_MARK] = True


class Waker:
    """A worker's ear. Use as a context manager; `wait` returns at a kick or after the timeout."""

    def __init__(self, data_dir: Path, engine: Engine) -> None:
        self._folder = data_dir / "wake"
        self._engine = engine
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._path = self._folder / f"{os.getpid()}-{self._socket.getsockname()[1]}"
        self._listening: psycopg.Connection[Any] | None = None
        self._refused = float("-inf")

    def __enter__(self) -> "Waker":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(str(self._socket.getsockname()[1]))
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.close()
        if self._listening is not None:
            self._listening.close()

    def wait(self, timeout: float) -> bool:
        """Sleep until a kick or for `timeout` seconds. True: there was a kick."""
        ready, _, _ = selectors.select(self.ears(), [], [], timeout)
        self._drain()
        return bool(ready)

    def ears(self) -> list[Any]:
        """What can be read from when there is a kick, for a loop that waits for more than kicks."""
        listening = self._listen()
        return [self._socket] if listening is None else [self._socket, listening]

    def interrupt(self) -> None:
        """End a wait that is going on; may be called by a signal handler."""
        self._socket.sendto(b"k", self._socket.getsockname())

    def _listen(self) -> "psycopg.Connection[Any] | None":
        if self._engine.dialect.name != "postgresql":
            return None
        if self._listening is None and monotonic() - self._refused < _LISTEN_AGAIN:
            return None
        if self._listening is None or self._listening.closed:
            url = self._engine.url.set(drivername="postgresql").render_as_string(
                hide_password=False
            )
            try:
                # Nothing is ever sent on it: that the server vanished is seen by keepalives alone.
                self._listening = psycopg.connect(url, autocommit=True, **client_options(url))
                self._listening.execute(f"LISTEN {_CHANNEL}")
            except psycopg.OperationalError:
                self._listening, self._refused = None, monotonic()
        return self._listening

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass
        if self._listening is not None:
            try:
                for _ in self._listening.notifies(timeout=0):
                    pass
            except psycopg.OperationalError:
                self._listening.close()
                self._listening = None


def _after_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint: nobody else sees its rows yet
    if session.info.pop(_MARK, False):
        _wake_here(current_app.extensions["config"].data_dir / "wake")
        if db.engine.dialect.name == "postgresql":
            _wake_elsewhere()


def _after_rollback(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_MARK, None)


def _wake_here(folder: Path) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        try:
            _kick(int(path.read_text()))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # left by a worker that was killed
        except (OSError, ValueError):
            continue


def _kick(port: int) -> None:
    """Raises ConnectionRefusedError where nobody listens any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        sender.send(b"k")
        # On this machine the refusal is back by now, and the second call reports it.
        sender.send(b"k")


def _wake_elsewhere() -> None:
    # The mail is safe already; a database that went away meanwhile must not fail the request.
    with contextlib.suppress(SQLAlchemyError), db.engine.connect() as connection:
        connection.execute(text(f"NOTIFY {_CHANNEL}"))
        connection.commit()


event.listen(db.session, "after_commit", _after_commit)
event.listen(db.session, "after_rollback", _after_rollback)
