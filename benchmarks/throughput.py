"""How fast the worker hands queued mail over, beside Postfix's C client on the same machine.

    python benchmarks/throughput.py [--mails 2000] [--rounds 5] [--workers 2] [--database-url URL]

Each round sends the same number of mails of the same size twice, in turn: by `smtp-source` with
eight connections, and by `portal worker` processes from a queue that is full when they start, with
rendering and with durable commits. Both go to `smtp-sink`, and the records are counted at the end
of every round. What counts is the ratio of the two and its spread; the absolute figures are those
of this machine. Needs smtp-source and smtp-sink (Debian: postfix).
"""

import argparse
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import flask_migrate
from flask import Flask
from sqlalchemy import ColumnElement, func, select, update

from portal import keys
from portal.app import create_app
from portal.audit.log import OPERATOR
from portal.config import Config
from portal.database import reading_only
from portal.delivery import claims, outbox, worker
from portal.delivery.beginning import Beginning
from portal.delivery.models import Delivery, State
from portal.delivery.outbox import Addressee
from portal.delivery.ways import Ways
from portal.delivery.writing import Writer
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import changes, senders
from portal.settings.scope import Scope

_DATA = {
    "title": "Disk full on db-3",
    "severity": "critical",
    "text": "Nothing can be written since 08:00.",
    "resource_name": None,
    "resource_url": None,
    "starts_at": "2026-11-21T08:00:00+00:00",
    "raised_by": "ci",
    "alert_url": "http://127.0.0.1:8000/alerts/1",
}
_C_CONNECTIONS = 8
_OURS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    with settings_of(chosen.database_url) as settings, Sink() as sink:
        app = installation(settings, sink.port)
        size = size_of_a_mail(app)
        ratios = [_round(app, settings, sink.port, size, chosen) for _ in range(chosen.rounds)]
    print(  # noqa: T201
        f"{engine_name(chosen.database_url)}, {chosen.workers} workers, {size} bytes a mail: "
        f"{statistics.median(ratios):.2f} of the C client "
        f"(from {min(ratios):.2f} to {max(ratios):.2f} in {chosen.rounds} rounds)"
    )


class Sink:
    """Postfix's smtp-sink while the block lasts."""

    def __enter__(self) -> "Sink":
        self.port = _free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [_found("smtp-sink"), *user, f"127.0.0.1:{self.port}", "512"]
        self._process = subprocess.Popen(command)
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def settings_of(database_url: str | None) -> Iterator[dict[str, str]]:
    """The environment of an installation that is gone after the block, but for that database."""
    with tempfile.TemporaryDirectory() as folder:
        url = {"PORTAL_DATABASE_URL": database_url} if database_url else {}
        yield {"PORTAL_DATA_DIR": folder} | url


def engine_name(database_url: str | None) -> str:
    return "PostgreSQL" if database_url else "SQLite"


def _round(
    app: Flask, settings: dict[str, str], port: int, size: int, chosen: argparse.Namespace
) -> float:
    theirs = c_client(port, chosen.mails, size)
    ours = workers(app, settings, chosen.mails, chosen.workers)
    print(f"C client {theirs:,.0f} mails/s, worker {ours:,.0f} mails/s: {ours / theirs:.2f}")  # noqa: T201
    return ours / theirs


def installation(settings: dict[str, str], port: int) -> Flask:
    app = create_app(Config.from_environment(settings))
    with app.app_context():
        flask_migrate.upgrade()
    keys.ensure(app)
    with app.app_context():
        organization = Organization(slug="globex", name="Globex")
        db.session.add(organization)
        db.session.flush()
        scope = Scope.of(organization)
        values = {
            "display_name": "Globex",
            "from_address": "alerts@globex.test",
            "server": "127.0.0.1",
            "port": port,
            "encryption": "none",
            "authentication": "none",
            "connections": _OURS,
        }
        senders.save(scope, "main", values, secret=senders.Keep(), actor=OPERATOR, activate=True)
        changes.save_allowed_destinations([f"127.0.0.1:{port}"], actor=OPERATOR)
        own = {"mode": "own", "default_sender": "main"}
        changes.save_mail_settings(scope, own, actor=OPERATOR)
        db.session.commit()
        db.session.remove()
    return app


def size_of_a_mail(app: Flask) -> int:
    """In bytes, so that the C client sends as much."""
    with app.app_context():
        _enqueue(1)
        (claimed,) = claims.claim("benchmark", limit=1)
        beginning = Beginning([claimed], Ways())
        begun = beginning.begin(claimed)
        assert begun is not None
        written = Writer().write(begun)
        assert isinstance(written, bytes)
        db.session.rollback()
        claims.release([claimed])
        db.session.remove()
        return len(written)


def _enqueue(mails: int) -> None:
    organization = db.session.scalars(select(Organization)).one()
    outbox.enqueue(
        organization,
        BY_KEY["alert.raised"],
        data=_DATA,
        addressees=[Addressee(f"person{number}@x.test") for number in range(mails)],
    )
    db.session.commit()
    db.session.remove()


def take_in(app: Flask, mails: int) -> float:
    """Mails a second that one call accepts durably; they are dropped from the queue again."""
    with app.app_context():
        start = time.monotonic()
        _enqueue(mails)
        took = time.monotonic() - start
        db.session.execute(
            update(Delivery)
            .where(Delivery.state == State.QUEUED)
            .values(state=State.CANCELLED, next_attempt_at=None)
        )
        db.session.commit()
        db.session.remove()
    return mails / took


def workers(app: Flask, settings: dict[str, str], mails: int, number: int) -> float:
    """Mails a second from the first acceptance to the last: without the start of the processes."""
    with app.app_context():
        before = _accepted()
        _enqueue(mails)
        waiting = _waiting()
        db.engine.dispose()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(settings,)) for _ in range(number)]
    for process in processes:
        process.start()
    with app.app_context():
        reading_only(True)
        while (first := _accepted()) == before:
            time.sleep(0.005)
        start = time.monotonic()
        while _accepted() < before + waiting:
            time.sleep(0.25)
        took = time.monotonic() - start
        reading_only(False)
    for process in processes:
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join()
    return (before + waiting - first) / took


def _accepted() -> int:
    return _count(Delivery.state == State.ACCEPTED)


def _waiting() -> int:
    return _count(Delivery.state == State.QUEUED)


def _count(condition: ColumnElement[bool]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Delivery).where(condition)) or 0


def c_client(port: int, mails: int, size: int) -> float:
    start = time.monotonic()
    command = [
        _found("smtp-source"),
        "-d",
        "-s",
        str(_C_CONNECTIONS),
        "-m",
        str(mails),
        "-l",
        str(size),
    ]
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True)
    return mails / (time.monotonic() - start)


def _found(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise SystemExit(f"{program} is not installed. Debian, Ubuntu: apt-get install postfix")
    return path


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _work(settings: dict[str, str]) -> None:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    worker.run(app)


if __name__ == "__main__":
    main()
