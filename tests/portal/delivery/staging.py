"""Staged tests against the scripted server, and what to ask of their reports."""

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from portal.delivery.staged_test import Report, run_test
from portal.smtp.message import build_message
from portal.smtp.values import Bundle
from tests.smtp_client import USER, FixedGuard

TO = "ann@acme.test"
CHECKED = ["dns", "connect", "greeting", "ehlo", "mail", "rcpt", "reset"]


def content() -> bytes:
    return build_message(
        message_id="<1@acme.test>",
        date=datetime(2026, 11, 21, tzinfo=UTC),
        from_name="Acme portal",
        from_address=USER,
        to_address=TO,
        subject="Test mail",
        text="Congratulations! Your mail server is configured successfully.\n",
        html=None,
    )


def check(bundle: Bundle, **changes: Any) -> Report:
    arguments: dict[str, Any] = {
        "to": TO,
        "content": None,
        "guard": FixedGuard(),
        "coarse": False,
        "pause": lambda seconds: None,
    }
    return run_test(bundle, **{**arguments, **changes})


def steps_of(report: Report) -> dict[str, bool | None]:
    return {step.step: step.ok for step in report.steps}


def said(report: Report) -> str:
    assert report.failure
    assert not report.passed
    assert not report.sent
    return str(report.failure.say)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port on which connections hang, as behind a firewall: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
