"""How soon mail leaves a portal that was idle.

    python benchmarks/first_byte.py [--calls 50] [--pause 2] [--database-url URL]

`portal up` runs in processes of its own; a call of its API raises an alert for one recipient after
a pause in which nothing happens. Measured is the time from the answer of the call to the server's
first byte of the mail: of EHLO where the server had closed the sessions, of MAIL where one is open.
Goal: at most 50 ms, median, where they were closed. The workers are woken by the commit, before the
answer is written: so a time may be below zero, and the time from the beginning of the call is told
as well. With `--pause 12` the portal closes the sessions itself before each call.
"""

import argparse
import contextlib
import json
import random
import socket
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import select
from throughput import engine_name, installation, verdict

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import tokens
from portal.identity.models import Organization
from portal.identity.policy import Scope
from tests.running import running
from tests.smtp_behaviours import Behaviour
from tests.smtp_server import SmtpServer

_FIRST_BYTE = 0.05
# The first calls load what is loaded once.
_WARMING = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds before each call")
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _NotingServer() as server:
        folder = Path(name)
        url = {"PORTAL_DATABASE_URL": chosen.database_url} if chosen.database_url else {}
        app = installation({"PORTAL_DATA_DIR": str(folder / "data")} | url, server.port)
        token = _token(app)
        with running(folder, settings=url) as portal:
            caller = _Caller(portal.address, token, server, chosen.pause)
            caller.calls(_WARMING, is_open=False)
            closed = caller.calls(chosen.calls, is_open=False)
            still_open = caller.calls(chosen.calls, is_open=True) if chosen.pause < 5 else []
    _say(f"{engine_name(chosen.database_url)}, {chosen.calls} calls {chosen.pause} s apart")
    _say_times("sessions closed, to EHLO", closed)
    median = statistics.median(call.from_answer for call in closed)
    _say(f"{verdict(median <= _FIRST_BYTE)}: at most {_FIRST_BYTE * 1000:.0f} ms, median")
    if still_open:
        _say_times("a session open, to MAIL", still_open)


class _NotingServer(SmtpServer):
    """Keeps when each phase of a mail was first heard: `heard`, by phase, until it is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, float] = {}

    def behaviour(self, *phases: str) -> Behaviour | None:
        self.heard.setdefault(phases[-1], time.monotonic())
        return super().behaviour(*phases)

    def hang_up(self) -> None:
        """Ends every session, as a server does with those that idle."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class _Call:
    """Seconds from the beginning of a call, and from its answer, to the first byte of its mail."""

    from_call: float
    from_answer: float


class _Caller:
    """Raises alerts over the API and waits for the mail of each."""

    def __init__(self, address: str, token: str, server: _NotingServer, pause: float) -> None:
        self._url = f"{address}/api/v1/alerts"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._server = server
        self._pause = pause

    def calls(self, number: int, *, is_open: bool) -> list[_Call]:
        """`is_open`: a session is left from the mail before."""
        return [self._call(is_open) for _ in range(number)]

    def _call(self, is_open: bool) -> _Call:
        server = self._server
        # The mail before is over by half of the pause: a session must not end in the middle of it.
        time.sleep(self._pause / 2)
        if not is_open:
            server.hang_up()
        # Never in step with what the portal does each second.
        time.sleep(self._pause * random.uniform(0.4, 0.8))  # noqa: S311 - guards nothing
        count = len(server.messages)
        server.heard.clear()
        asked = time.monotonic()
        self._raise_alert(count)
        answered = time.monotonic()
        server.wait_for_messages(count + 1, seconds=30)
        assert ("ehlo" in server.heard) is not is_open, "the session was not as it should be"
        first = server.heard["mail" if is_open else "ehlo"]
        return _Call(first - asked, first - answered)

    def _raise_alert(self, number: int) -> None:
        said = {
            "title": f"Disk {number} full",
            "severity": "error",
            "recipients": [f"address:person{number}@x.test"],
        }
        request = urllib.request.Request(  # noqa: S310 - the portal's own address
            self._url, data=json.dumps(said).encode(), headers=self._headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()


def _token(app: Flask) -> str:
    with app.app_context():
        organization = db.session.scalars(select(Organization)).one()
        _, token = tokens.create(organization, name="ci", scopes=[Scope.SEND], actor=OPERATOR)
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    return token


def _say_times(what: str, calls: Sequence[_Call]) -> None:
    _say(
        f"first byte, {what}, {len(calls)} calls: "
        f"{_spread([call.from_answer for call in calls])} after the answer, "
        f"{_spread([call.from_call for call in calls])} after the call began"
    )


def _spread(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return f"median {statistics.median(seconds) * 1000:.1f} ms, p95 {cuts[-1] * 1000:.1f} ms"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
