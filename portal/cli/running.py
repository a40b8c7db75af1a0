"""All roles of a portal under one supervisor: what `portal up` and `portal demo` share."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal import config as configuration
from portal import logs
from portal.cli import application, listening
from portal.cli.application import Tell
from portal.cli.listening import Address
from portal.cli.supervisor import Role, Supervisor
from portal.config import Config
from portal.delivery import claims, recovering
from portal.extensions import db

_WORKER = "portal worker"


@dataclass(frozen=True)
class Running:
    """A portal about to run: its application, its bound socket, and its children's environment."""

    app: Flask
    listener: socket.socket
    environment: Mapping[str, str] = field(repr=False)

    @property
    def address(self) -> Address:
        return listening.bound_address(self.listener)

    @property
    def base_url(self) -> str:
        config: Config = self.app.extensions["config"]
        return config.base_url

    def run(
        self, script: Iterator[None], *, workers: int = 1, beside: tuple[Role, ...] = ()
    ) -> None:
        """Run web, delivery and jobs, and roles beside them, until SIGTERM or Ctrl-C."""
        fd = self.listener.fileno()
        roles = (
            *beside,
            Role("portal web", ("web", "--fd", str(fd)), (fd,)),
            *(Role(f"{_WORKER} {number}", ("worker",)) for number in range(1, workers + 1)),
            Role("portal jobs", ("jobs",)),
        )
        Supervisor(
            roles, environment=self.environment, tell=_on_stderr, on_end=self._give_back
        ).run(script)
        self.listener.close()

    def until_ready(self) -> Iterator[None]:
        """A step of a script: over when the portal answers that it can accept and store."""
        while not listening.is_ready(self.address):
            yield

    def _give_back(self, role: Role, pid: int) -> None:
        """What a dead worker held is free again at once; leases would keep it for a minute."""
        if not role.name.startswith(_WORKER):
            return
        try:
            with self.app.app_context():
                recovering.release_dead(claims.process_name(pid))
                db.session.remove()
        except SQLAlchemyError as problem:
            _on_stderr(f"The mail of {role.name} is free again in 60 s ({type(problem).__name__}).")


def prepare(
    listener: socket.socket,
    settings: Mapping[str, str],
    *,
    alone: bool = False,
    tell: Tell = logs.tell,
) -> Running:
    """Migrate and make what is missing. `settings` and `alone` as in config.child_environment.

    Raises ConfigError and Failed.
    """
    environment = configuration.child_environment(settings, alone=alone)
    app = application.upgraded(Config.from_environment(environment), tell)
    return Running(app, listener, environment)


def _on_stderr(line: str) -> None:
    logs.tell(line, err=True)
