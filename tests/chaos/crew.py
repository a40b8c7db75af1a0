"""The workers of a run: real processes, killed at will, and replaced as a supervisor does it."""

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from threading import Event

from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from portal.database import reading_only
from portal.delivery import claims, recovering, worker
from portal.delivery.models import Delivery
from portal.extensions import db
from tests.chaos.processes import Settings, application, context

_PATIENCE = 30.0
_START_AGAIN = 0.5


@dataclass(frozen=True)
class Strike:
    """A kill, and the deliveries that stood between their final dot and its commit then."""

    standing: frozenset[uuid.UUID]
    held: int
    was_told: bool


class Crew:
    """Expects an application context. Each process that is killed is replaced by a new one.

    `fallen`: the exit codes of those that had ended by themselves.
    """

    def __init__(self, settings: Settings, number: int) -> None:
        self.fallen: list[int] = []
        self._settings = settings
        self._processes = [self._start() for _ in range(number)]

    def kill(self, chance: random.Random, *, tell: bool) -> Strike:
        """kill -9 one of them. `tell`: what it held is given back at once, as `portal up` does;
        else its leases have to run out, as on a machine that lost its power."""
        # The newest may not have begun its work.
        process = self._processes.pop(chance.randrange(max(1, len(self._processes) - 1)))
        if process.exitcode is not None:
            self.fallen.append(process.exitcode)
        process.kill()
        process.join()
        pid = process.pid or 0
        _until_its_connections_are_gone(pid)
        strike = _look_at(pid, tell)
        if tell:
            recovering.release_dead(claims.process_name(pid))
        self._processes.append(self._start())
        return strike

    def end(self) -> list[int | None]:
        """SIGTERM for all. Their exit codes; None for one that had to be killed."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(_PATIENCE)
        codes = [process.exitcode for process in self._processes]
        for process in self._processes:
            process.kill()
            process.join()
        return codes

    def _start(self) -> BaseProcess:
        process = context.Process(target=work, args=(self._settings,), daemon=True)
        process.start()
        return process


@contextmanager
def working(settings: Settings, number: int) -> Iterator[Crew]:
    crew = Crew(settings, number)
    try:
        yield crew
    finally:
        crew.end()


def work(settings: Settings) -> None:
    """What the process of a worker does until SIGTERM."""
    # PostgreSQL shows by this name whether a killed process still has a statement running.
    os.environ["PGAPPNAME"] = connections_of(os.getpid())
    worker.run(_application(settings))


def _application(settings: Settings) -> Flask:
    """A worker that starts while the database is away ends, and its supervisor starts it again."""
    while True:
        try:
            return application(settings)
        except OperationalError:
            Event().wait(_START_AGAIN)


def connections_of(pid: int) -> str:
    """The name by which PostgreSQL knows the connections of that process."""
    return f"chaos-{pid}"


def _until_its_connections_are_gone(pid: int) -> None:
    """A COMMIT that was on its way when its process died may still be carried out."""
    db.session.rollback()
    if db.engine.dialect.name != "postgresql":
        return
    theirs = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
    pause = Event()
    while db.session.execute(theirs, {"name": connections_of(pid)}).scalar():
        db.session.rollback()
        pause.wait(0.01)


def _look_at(pid: int, was_told: bool) -> Strike:
    db.session.rollback()
    reading_only(True)
    prefix = f"{claims.process_name(pid)}:"
    held = db.session.execute(
        select(Delivery.id, Delivery.dot_pending).where(
            Delivery.lease_owner.startswith(prefix, autoescape=True)
        )
    ).all()
    db.session.rollback()
    reading_only(False)
    return Strike(frozenset(row.id for row in held if row.dot_pending), len(held), was_told)
