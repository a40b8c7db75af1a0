"""How fast the worker hands queued mail over, beside Postfix's C client on the same machine.

    python benchmarks/throughput.py [--mails 2000] [--rounds 5] [--workers 2] [--database-url URL]
                                    [--old-rows N]

Each round sends the same number of mails of the same size twice, in turn: by `smtp-source` with
eight connections, and by `portal worker` processes from a queue that is full when they start, with
rendering and with durable commits. Both go to `smtp-sink`, and the records are counted at the end
of every round. What counts is the ratio of the two and its spread; the absolute figures are those
of this machine. Needs smtp-source and smtp-sink (Debian: postfix).

With `--old-rows 1000000` the C client rests. Each round sends the same mails twice, by workers of
an installation without old mail and by those of one with so many old records; goal: at least 0.9 of
the speed. On PostgreSQL the second has a database of its own beside the one that is given.
"""

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import flask_migrate
import old_rows
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
_SLUG = "globex"
_WITH_OLD_ROWS = 0.9
_UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database-url")
    parser.add_argument("--old-rows", type=int)
    chosen = parser.parse_args()
    if chosen.old_rows:
        _beside_old_rows(chosen)
        return
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
    """Postfix's smtp-sink while the block lasts. `counting`: it keeps `mails`, which costs it a
    write for each."""

    def __init__(self, *, counting: bool = False) -> None:
        self._counting = counting

    def __enter__(self) -> "Sink":
        self.port = _free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        count = ["-c"] if self._counting else []
        command = [_found("smtp-sink"), *user, *count, f"127.0.0.1:{self.port}", "512"]
        self._counters = tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdout=self._counters)
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._counters.close()

    @property
    def mails(self) -> int:
        """How many it has taken so far; it writes `sess=1 quit=1 mesg=1` over and over."""
        size = os.fstat(self._counters.fileno()).st_size
        end = os.pread(self._counters.fileno(), 200, max(0, size - 200))
        counts = end.rpartition(b"mesg=")[2].split()
        return int(counts[0]) if counts else 0


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


def _beside_old_rows(chosen: argparse.Namespace) -> None:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        url = chosen.database_url
        urls = (url, url and stack.enter_context(old_rows.database_beside(url)))
        all_settings = [stack.enter_context(settings_of(url)) for url in urls]
        apps = [installation(settings, sink.port) for settings in all_settings]
        took = old_rows.fill(apps[1], chosen.old_rows)
        print(f"{chosen.old_rows:,} old records with their attempts, stored in {took:,.0f} s")  # noqa: T201
        ratios = []
        for number in range(chosen.rounds):
            speeds = [0.0, 0.0]
            for place in (0, 1) if number % 2 else (1, 0):
                speeds[place] = workers(
                    apps[place], all_settings[place], chosen.mails, chosen.workers
                )
            ratios.append(speeds[1] / speeds[0])
            print(f"empty {speeds[0]:,.0f} mails/s, full {speeds[1]:,.0f}: {ratios[-1]:.2f}")  # noqa: T201
    median = statistics.median(ratios)
    print(  # noqa: T201
        f"{engine_name(chosen.database_url)}, {chosen.workers} workers, {chosen.old_rows:,} old "
        f"records: {median:.2f} of the speed without them (from {min(ratios):.2f} to "
        f"{max(ratios):.2f} in {chosen.rounds} rounds of {chosen.mails:,} mails)\n"
        f"{verdict(median >= _WITH_OLD_ROWS)}: at least {_WITH_OLD_ROWS}"
    )


def verdict(met: bool) -> str:
    return "goal met" if met else "GOAL NOT MET"


def installation(settings: dict[str, str], port: int, **sender: object) -> Flask:
    """With one organization, Globex, whose sender points to that port. `sender`: values of it that
    are not those of a relay without TLS and login, with 32 connections."""
    app = create_app(Config.from_environment(settings))
    with app.app_context():
        flask_migrate.upgrade()
    keys.ensure(app)
    with app.app_context():
        organization = Organization(slug=_SLUG, name="Globex")
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
            **sender,
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
        enqueue(1)
        (claimed,) = claims.claim("benchmark", limit=1)
        beginning = Beginning([claimed], Ways())
        begun = beginning.begin(claimed)
        assert begun is not None
        written = Writer().write(begun)
        assert isinstance(written, bytes)
        db.session.rollback()
        claims.release([claimed])
        _cancel_what_waits()
        return len(written)


def enqueue(mails: int) -> None:
    """One alert for so many; commits. Expects an application context."""
    organization = db.session.scalars(select(Organization).filter_by(slug=_SLUG)).one()
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
        enqueue(mails)
        took = time.monotonic() - start
        _cancel_what_waits()
    return mails / took


def _cancel_what_waits() -> None:
    db.session.execute(
        update(Delivery)
        .where(Delivery.state == State.QUEUED)
        .values(state=State.CANCELLED, next_attempt_at=None)
    )
    db.session.commit()
    db.session.remove()


def workers(app: Flask, settings: dict[str, str], mails: int, number: int) -> float:
    """Mails a second from the first acceptance to the last: without the start of the processes."""
    with app.app_context():
        before = _count(Delivery.state == State.ACCEPTED)
        enqueue(mails)
        waiting = _count(Delivery.state.in_(_UNFINISHED))
        db.engine.dispose()
    with working(settings, number), app.app_context():
        reading_only(True)
        # What is left is counted, not what is done: that costs nothing beside a million records.
        while (left := _count(Delivery.state.in_(_UNFINISHED))) == waiting:
            time.sleep(0.005)
        start = time.monotonic()
        while _count(Delivery.state.in_(_UNFINISHED)):
            time.sleep(0.05)
        took = time.monotonic() - start
        accepted = _count(Delivery.state == State.ACCEPTED) - before
        db.session.remove()
        reading_only(False)
    assert accepted == waiting, f"{accepted} of {waiting} mails are accepted on the records"
    return left / took


@contextmanager
def working(settings: dict[str, str], number: int) -> Iterator[None]:
    """So many workers in processes of their own, which may still be starting."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(settings,)) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


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
