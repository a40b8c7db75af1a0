"""What tests of delivery share: mail to enqueue, workers by turn, in threads and in processes.

Everything here expects an application context, as the fixture `session` opens one.
"""

import multiprocessing
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from flask import Flask, current_app
from flask.ctx import AppContext
from sqlalchemy import update

from portal import clock, keys
from portal.app import create_app
from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.config import Config
from portal.database import reading_only
from portal.delivery import claims, outbox, sweeping, worker
from portal.delivery.beginning import Beginning, Begun
from portal.delivery.claims import Claim
from portal.delivery.loop import Loop
from portal.delivery.models import Delivery, State
from portal.delivery.outbox import Addressee
from portal.delivery.ways import Ways
from portal.extensions import db
from portal.identity.models import Organization
from portal.jobs import Waker
from portal.kinds import BY_KEY
from portal.settings import changes, senders
from portal.settings.models import Sender
from portal.settings.scope import Scope
from tests.smtp_server import SmtpServer
from tests.smtp_talk import Talk

ALERT = {
    "title": "Disk full",
    "severity": "critical",
    "text": "Nothing can be written.",
    "resource_name": None,
    "resource_url": None,
    "starts_at": "2026-11-21T08:00:00+00:00",
    "raised_by": "ci",
    "alert_url": "http://127.0.0.1:8000/alerts/1",
}
TEST_MAIL = {"sender_name": "main", "server": "here:25", "level": "host", "asked_by": "rita"}
_PATIENCE = 30.0
_LONG_AGO = timedelta(hours=1)


def enqueue(
    organization: Organization | None,
    *addressees: Addressee,
    kind: str = "alert.raised",
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> list[uuid.UUID]:
    """Enqueue one letter for all of them, commit, and return the ids of the deliveries."""
    content = data or (TEST_MAIL if kind == "mail.test" else ALERT)
    made = outbox.enqueue(organization, BY_KEY[kind], data=content, addressees=addressees, **more)
    db.session.commit()
    return list(made.ids)


def record(delivery_id: uuid.UUID) -> Delivery:
    """The sending record as it is now. Keeps no worker from writing."""
    db.session.rollback()
    reading_only(True)
    try:
        return db.session.get_one(Delivery, delivery_id, populate_existing=True)
    finally:
        reading_only(False)


def outcomes(delivery_id: uuid.UUID) -> list[str]:
    """What became of each attempt, in order."""
    return [str(attempt.outcome) for attempt in record(delivery_id).attempts]


def take_turns(name: str = "worker") -> None:
    """What a worker does, in a context of its own, until nothing is due any more."""
    db.session.rollback()
    with _another_context() as context:
        loop = Loop(context.app)
        while True:
            handled = sweeping.handle_events()
            claimed = claims.claim(name, limit=100)
            loop.take(claimed)
            _until_idle(loop)
            if not claimed and not handled:
                break
        loop.close()


def deliver(claimed: Claim, loop: Loop | None = None) -> None:
    """One step of a worker: send what it has claimed."""
    db.session.rollback()
    with _another_context() as context:
        used = loop or Loop(context.app)
        used.settings_changed()
        used.take([claimed])
        _until_idle(used)
        if loop is None:
            used.close()


def begin(claimed: Claim) -> Begun | None:
    """As far as a worker comes before it writes the letter."""
    beginning = Beginning([claimed], Ways())
    begun = beginning.begin(claimed)
    if claimed in beginning.store():
        begun = None
    claims.note_doing(claimed.worker, [claimed.delivery_id] if begun else [])
    db.session.commit()
    return begun


def mark_dot(claimed: Claim) -> None:
    """As far as a worker comes before the final dot."""
    assert claims.mark_dots([claimed]) == {claimed}
    db.session.commit()


def _until_idle(loop: Loop) -> None:
    while loop.busy:
        loop.turn(0.2)


def hurry() -> None:
    """Make everything that waits for a time due now: retries and probes."""
    now = utcnow()
    db.session.execute(
        update(Delivery).where(Delivery.state == State.DEFERRED).values(next_attempt_at=now)
    )
    db.session.execute(
        update(Sender)
        .where(Sender.next_probe_at.is_not(None))
        .values(next_probe_at=now - timedelta(seconds=1))
    )
    db.session.commit()


def end_leases() -> None:
    """As if the time of every lease had passed."""
    db.session.rollback()
    db.session.execute(
        update(Delivery)
        .where(Delivery.lease_until.is_not(None))
        .values(lease_until=utcnow() - _LONG_AGO)
    )
    db.session.commit()


def aim(scope: Scope, name: str, server: SmtpServer, /, **values: Any) -> None:
    """Let a sender of the cast send to this server; commits."""
    sender = senders.find(scope, name)
    secret = values.pop("secret", None)
    change = senders.Replace(secret) if secret else senders.Clear()
    raw = {"server": server.host, "port": server.port, **values}
    senders.save(scope, name, raw, secret=change, actor=OPERATOR, sender=sender, activate=True)
    db.session.commit()


def allow(*servers: SmtpServer) -> None:
    """Open these servers to the senders of organizations; commits."""
    entries = [f"127.0.0.1:{server.port}" for server in servers]
    changes.save_allowed_destinations(entries, actor=OPERATOR)
    db.session.commit()


def until(condition: Callable[[], bool]) -> None:
    """Looks again and again, in transactions that only read, until it holds; else fails."""
    pause = threading.Event()
    deadline = clock.monotonic() + _PATIENCE
    reading_only(True)
    try:
        while not condition():
            assert clock.monotonic() < deadline, "it did not come true"
            db.session.rollback()
            pause.wait(0.02)
    finally:
        db.session.rollback()
        reading_only(False)


def all_in(state: State, ids: Sequence[uuid.UUID]) -> Callable[[], bool]:
    return lambda: all(record(one).state is state for one in ids)


@contextmanager
def worker_thread(app: Flask, name: str = "thread") -> Iterator[None]:
    """A delivery worker in a thread of its own, until the block ends."""
    stop = threading.Event()
    woken: list[Waker] = []
    ready = threading.Event()

    def work() -> None:
        with app.app_context(), Waker(app.extensions["config"].data_dir, db.engine) as waker:
            woken.append(waker)
            ready.set()
            worker.DeliveryWorker(app, name, stop).run(waker)

    db.session.rollback()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        ready.wait()
        yield
    finally:
        db.session.rollback()
        stop.set()
        woken[0].interrupt()
        thread.join()


@contextmanager
def worker_process(
    target: Callable[[dict[str, str]], None] | None = None,
) -> Iterator[BaseProcess]:
    """A delivery worker in a process of its own; killed where it is still there at the end.

    `target`: what to run in place of `work`.
    """
    db.session.rollback()
    process = _context.Process(target=target or work, args=(_settings(),), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


class Gate:
    """A behaviour of the SMTP server: it waits at this point until the test opens it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self, talk: Talk) -> None:
        self._reached.set()
        while not self._opened.wait(0.05):
            talk.pause(0)

    @property
    def reached(self) -> bool:
        """A client has come here."""
        return self._reached.is_set()

    def wait(self) -> None:
        """Until a client has come here."""
        assert self._reached.wait(_PATIENCE), "nobody came to the gate"

    def open(self) -> None:
        self._opened.set()


def _another_context() -> AppContext:
    # A worker gives its session back in the middle of a mail; the test's own stays as it is.
    return current_app._get_current_object().app_context()  # type: ignore[attr-defined,no-any-return]


# Imports the portal once and forks a process for each worker: a start costs no second.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.delivering"])


def _settings() -> dict[str, str]:
    config: Config = current_app.extensions["config"]
    return {
        "PORTAL_DATABASE_URL": config.database_url,
        "PORTAL_DATA_DIR": str(config.data_dir),
        "PORTAL_BASE_URL": config.base_url,
        "PORTAL_SECRET_KEY": config.secret_key or "",
        "PORTAL_ENCRYPTION_KEYS": ",".join(f"{name}:{key}" for name, key in config.encryption_keys),
    }


def work(settings: dict[str, str]) -> None:
    """What such a process does."""
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    worker.run(app)
