"""A server without threads: it answers what it heard when the test lets it act.

`Script` is bytes in, bytes out; `Peer` puts it on one end of a socket pair, and `HeardTransport`
lets the peer act whenever the client is about to read.
"""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from portal import clock
from portal.smtp.causes import Cause
from portal.smtp.transport import Transport

JUMP = 100_000.0
REFUSED_TOKEN = b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"
_HONEST = {
    "greeting": b"220 mx\r\n",
    "helo": b"250 mx\r\n",
    "starttls": b"220 go\r\n",
    "mail": b"250 2.1.0 m\r\n",
    "rcpt": b"250 2.1.5 r\r\n",
    "data": b"354 d\r\n",
    "body": b"",
    "dot": b"250 2.0.0 q1\r\n",
    "rset": b"250 2.0.0 s\r\n",
    "quit": b"221 bye\r\n",
}
# How many challenges come before 235, by how the login begins.
_CHALLENGES = {"AUTH PLAIN": 1, "AUTH LOGIN": 2}


@dataclass(frozen=True)
class Turn:
    """What the server does once: it says `data`, and may close or fall silent for good."""

    data: bytes = b""
    closes: bool = False
    silent: bool = False


class Script:
    """Honest but for the named steps, each the first time: greeting, ehlo, ehlo again, helo,
    starttls, auth, answer 1, answer 2, mail, rcpt, data, body, dot, rset, quit."""

    def __init__(self, turns: Mapping[str, Turn], *, pipelining: bool) -> None:
        self.heard: list[str] = []
        self.closed = False
        self.silent = False
        self.in_content = False
        self.content = b""
        self._turns = dict(turns)
        self._pipelining = pipelining
        self._buffer = b""
        self._greeted = False
        self._is_willing = False
        self._challenges = 0
        self._answers = 0

    @property
    def stops_reading(self) -> bool:
        """It is asked to take content and will not."""
        return self.in_content and self._turns.get("body") == Turn(silent=True)

    def hear(self, data: bytes) -> bytes:
        """What the server says to these bytes, and to all that it has not answered yet."""
        self._buffer += data
        said = b""
        if not self._greeted:
            self._greeted = True
            said += self._turn("greeting")
        while not (self.closed or self.silent):
            step = self._next()
            if step is None:
                break
            said += self._turn(step)
        return said

    def _turn(self, step: str) -> bytes:
        self.heard.append(step)
        turn = self._turns.pop(step, None) or Turn(self._honest(step))
        self.closed, self.silent = turn.closes, turn.silent
        if step in ("mail", "rcpt"):
            self._is_willing = turn.data[:1] == b"2"
        if step == "data":
            self.in_content = turn.data.startswith(b"354")
        return turn.data

    def _next(self) -> str | None:
        if self.in_content:
            return self._next_of_content()
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return None
        self._buffer = rest
        if self._challenges:
            self._challenges -= 1
            self._answers += 1
            return f"answer {self._answers}"
        return self._step_of(line.decode())

    def _next_of_content(self) -> str | None:
        content, end, rest = (b"\r\n" + self._buffer).partition(b"\r\n.\r\n")
        if end:
            self._buffer, self.in_content = rest, False
            self.content = content.removeprefix(b"\r\n") + b"\r\n"
            return "dot"
        return "body" if self._buffer and "body" in self._turns else None

    def _step_of(self, line: str) -> str:
        verb = line.split()[0].lower() if line else ""
        if verb == "ehlo" and "starttls" in self.heard:
            return "ehlo again"
        if verb == "auth":
            asks = self._turns.get("auth", Turn()).data.startswith(b"334")
            self._challenges = _CHALLENGES.get(line, int(asks))
        return verb

    def _honest(self, step: str) -> bytes:
        if step.startswith("ehlo"):
            offered = b"250-PIPELINING\r\n" if self._pipelining else b""
            tls = b"" if "starttls" in self.heard else b"250-STARTTLS\r\n"
            return b"250-mx\r\n" + offered + tls + b"250 AUTH PLAIN LOGIN XOAUTH2\r\n"
        if step == "auth" or step.startswith("answer"):
            return b"334 \r\n" if self._challenges else b"235 welcome\r\n"
        if step in ("rcpt", "data") and not self._is_willing:
            return b"503 5.5.1 not now\r\n"
        return _HONEST.get(step, b"500 what\r\n")


class Clock:
    """Stands still until somebody waits for a server that is silent."""

    def __init__(self) -> None:
        self.now = 1000.0

    def jump(self) -> None:
        self.now += JUMP


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the client sees."""
    stopped = Clock()
    monkeypatch.setattr(clock, "monotonic", lambda: stopped.now)
    return stopped


class Peer:
    """A script on one end of a socket pair; `ours` is the other end."""

    def __init__(self, script: Script, stopped: Clock) -> None:
        self.script = script
        self.stopped = stopped
        self.ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)

    def act(self) -> bool:
        """Hears what came and answers; False where nothing was said or done."""
        if self._theirs.fileno() < 0:
            return False
        try:
            data = self._theirs.recv(1 << 20)
        except BlockingIOError:
            data = b""
        if self.script.silent:
            return False
        said = self.script.hear(data)
        if said:
            with contextlib.suppress(BrokenPipeError):
                self._theirs.sendall(said)
        if self.script.closed:
            self._theirs.close()
        return bool(said) or self.script.closed

    def hear(self, size: int) -> bytes:
        """At most so many bytes of what came, kept from the script."""
        try:
            return self._theirs.recv(size) if self._theirs.fileno() >= 0 else b""
        except (BlockingIOError, ConnectionResetError):
            return b""

    def say(self, turn: Turn) -> None:
        """Unasked."""
        self._theirs.sendall(turn.data)
        if turn.closes:
            self._theirs.close()

    def close(self) -> None:
        self._theirs.close()
        self.ours.close()


class HeardTransport(Transport):
    """The blocking client's end: the peer acts first, and time passes where it is silent."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.ours)
        self._peer = peer

    def write(self, data: bytes, deadline: float) -> None:
        if self._peer.script.stops_reading:
            self._peer.stopped.jump()
        super().write(data, deadline)

    def read(self, deadline: float) -> bytes:
        if not self._peer.act() and self._peer.script.silent:
            self._peer.stopped.jump()
        return super().read(deadline)


def lost_cause(script: Script) -> Cause | None:
    """How a driver without sockets hears that nothing more will come."""
    if script.closed:
        return Cause.CONNECTION_LOST
    return Cause.TIMEOUT if script.silent else None
