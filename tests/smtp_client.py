"""What a test needs to speak to the scripted SMTP server through our own client."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from portal.destinations import Forbidden, NameNotFound
from portal.smtp.blocking import open_session
from portal.smtp.observing import Step
from portal.smtp.values import Authentication, Bundle, Encryption, Failure, SessionFailed
from tests.smtp_server import SmtpServer

SECRET = "correct horse battery staple"
USER = "portal@acme.test"
ACCOUNTS = {USER: SECRET}


@dataclass(frozen=True)
class FixedGuard:
    """Answers every look-up with these addresses, or raises what it was given."""

    answers: tuple[str, ...] = ("127.0.0.1",)
    problem: Forbidden | NameNotFound | None = None

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        if self.problem:
            raise self.problem
        return self.answers


@dataclass
class Watching:
    """An observer that keeps what it saw."""

    keeps_transcript: ClassVar[bool] = True
    steps: list[Step] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def line(self, text: str) -> None:
        self.transcript.append(text)


def bundle_for(server: SmtpServer, /, **changes: Any) -> Bundle:
    """The bundle that fits the server: its port, encryption and authority, and short timeouts."""
    encryption = {None: Encryption.NONE, "starttls": Encryption.STARTTLS, "tls": Encryption.TLS}
    values: dict[str, Any] = {
        "owner": "host",
        "name": "default",
        "from_address": USER,
        "display_name": "Acme portal",
        "server": "smtp.acme.test",
        "port": server.port,
        "encryption": encryption[server.tls],
        "ca": server.ca if server.tls else None,
        "connect_timeout": 3.0,
        "command_timeout": 3.0,
    }
    if server.auth is not None:
        values |= {"authentication": Authentication.PASSWORD, "username": USER, "secret": SECRET}
    return Bundle(**values | changes)


def failure_of(bundle: Bundle, guard: FixedGuard | None = None) -> Failure:
    """Why no session opens with the bundle; fails the test where one does."""
    with pytest.raises(SessionFailed) as raised:
        open_session(bundle, guard=guard or FixedGuard())
    return raised.value.failure
