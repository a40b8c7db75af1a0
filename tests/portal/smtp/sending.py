"""What tests of transactions share: an open session, a message, and outcomes in short."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from portal.smtp.blocking import Session, open_session
from portal.smtp.values import Accepted, Outcome, Phase
from tests.smtp_client import FixedGuard, bundle_for
from tests.smtp_server import EXTENSIONS, SmtpServer

BOB = "bob@globex.test"
MAIL = b"Subject: hello\r\nTo: bob@globex.test\r\n\r\nHello Bob\r\n"
BIG = MAIL + b"0123456789abcdef" * 64 * 1024 * 16
WITHOUT_PIPELINING = tuple(name for name in EXTENSIONS if name != "PIPELINING")


@contextmanager
def session_with(server: SmtpServer, **changes: Any) -> Iterator[Session]:
    limits = {"dot_timeout": 3.0}
    limits |= {
        name: changes.pop(name) for name in ("dot_timeout", "slowest_rate") if name in changes
    }
    session = open_session(bundle_for(server, **changes), guard=FixedGuard(), **limits)
    try:
        yield session
    finally:
        session.close()


def seen(outcome: Outcome) -> tuple[str, Phase | None, str | None]:
    if isinstance(outcome, Accepted):
        return ("accepted", None, None)
    return (type(outcome).__name__.lower(), outcome.failure.phase, outcome.failure.cause)


PIPELINING_OR_NOT = pytest.mark.parametrize(
    "extensions", [EXTENSIONS, WITHOUT_PIPELINING], ids=["pipelining", "one by one"]
)
