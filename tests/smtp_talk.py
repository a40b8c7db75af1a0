"""The scripted SMTP server's side of one connection."""

import base64
import contextlib
import email.policy
import socket
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TYPE_CHECKING

from tests.smtp_behaviours import Dropped

if TYPE_CHECKING:
    from tests.smtp_server import SmtpServer


@dataclass(frozen=True)
class Received:
    """One message that the server took over with a 2xx reply to the final dot."""

    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    authenticated_as: str | None
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        parsed = BytesParser(policy=email.policy.default).parsebytes(self.content)
        assert isinstance(parsed, EmailMessage)
        return parsed


class Talk:
    """The server's side of one connection."""

    def __init__(self, server: "SmtpServer", connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self._buffer = b""
        self._encrypted = False
        self._user: str | None = None
        self._last_code = 0
        self._mail_from: str | None = None
        self._recipients: list[str] = []

    @property
    def stopping(self) -> bool:
        return self._server.stopping.is_set()

    def run(self) -> None:
        if self._server.tls == "tls":
            self._handshake()
        self._answer("220 smtp.acme.test ESMTP", "greeting")
        while line := self._line():
            self._server.commands.append(line)
            verb, _, rest = line.partition(" ")
            handler = getattr(self, f"_{verb.lower()}", None)
            if handler and verb.isalpha():
                handler(rest)
            else:
                self.say("500 5.5.2 unknown command")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def say(self, *lines: str) -> None:
        self._last_code = int(lines[-1][:3])
        self._server.said += lines
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float) -> None:
        if self._server.stopping.wait(seconds):
            raise Dropped

    def wait_for_the_end(self) -> None:
        """Until the client closes, or the server stops."""
        while self._socket.recv(65536):
            continue

    def read_some(self, size: int) -> None:
        while len(self._buffer) < size:
            self._fill()

    def _answer(self, line: str, *phases: str) -> int:
        """The code that was said, 0 where the script said something else or nothing."""
        self._last_code = 0
        behaviour = self._server.behaviour(*phases)
        if behaviour:
            behaviour(self)
        else:
            self.say(line)
        return self._last_code

    def _ehlo(self, name: str) -> None:
        self._begin()
        offered = list(self._server.extensions)
        if self._server.tls == "starttls" and not self._encrypted:
            offered.append("STARTTLS")
        asks_login = self._server.auth is not None or self._server.tokens is not None
        if asks_login and (self._encrypted or self._server.tls is None):
            offered.append(" ".join(("AUTH", *self._server.mechanisms)))
        lines = ["smtp.acme.test", *offered]
        behaviour = self._server.behaviour("ehlo")
        if behaviour:
            behaviour(self)
        else:
            self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def _helo(self, name: str) -> None:
        self._begin()
        self._answer("250 smtp.acme.test", "helo")

    def _starttls(self, _: str) -> None:
        if self._server.tls != "starttls" and not self._server.behaviour("starttls"):
            self.say("502 5.5.1 not offered")
        elif self._answer("220 2.0.0 go ahead", "starttls") in (0, 220):
            self._buffer = b""
            self._handshake()

    def _handshake(self) -> None:
        if behaviour := self._server.behaviour("handshake"):
            behaviour(self)
        context = self._server.context
        assert context, "a certificate is needed for TLS"
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._server.handshakes += 1
        self._encrypted = True

    def _auth(self, rest: str) -> None:
        self._count_auth(f"AUTH {rest}")
        mechanism, _, initial = rest.partition(" ")
        if behaviour := self._server.behaviour("auth"):
            behaviour(self)
            return
        if mechanism.upper() == "XOAUTH2":
            self._bearer(_decoded(initial or self._challenge("334 ")))
            return
        user, password = self._credentials(mechanism.upper(), initial)
        if self._server.auth is not None and self._server.auth.get(user) == password:
            self._user = user
            self.say("235 2.7.0 welcome")
        else:
            self.say("535 5.7.8 wrong user or password")

    def _bearer(self, response: str) -> None:
        """XOAUTH2: a refusal is told as JSON in a challenge first, which wants an empty answer."""
        user, bearer = response.removesuffix("\1\1").split("\1")
        token = bearer.removeprefix("auth=Bearer ")
        if self._server.tokens is not None and token in self._server.tokens:
            self._user = user.removeprefix("user=")
            self.say("235 2.7.0 welcome")
            return
        why = '{"status": "401", "schemes": "bearer", "scope": "https://mail.acme.test/"}'
        answer = self._challenge(f"334 {base64.b64encode(why.encode()).decode()}")
        self.say("501 5.5.2 unexpected" if answer else "535 5.7.8 token not accepted")

    def _credentials(self, mechanism: str, initial: str) -> tuple[str, str]:
        if mechanism == "PLAIN":
            _, user, password = _decoded(initial or self._challenge("334 ")).split("\0")
            return user, password
        user = _decoded(initial or self._challenge("334 VXNlcm5hbWU6"))
        return user, _decoded(self._challenge("334 UGFzc3dvcmQ6"))

    def _challenge(self, line: str) -> str:
        self.say(line)
        answer = self._line()
        self._server.commands.append(answer)
        self._count_auth(answer)
        return answer

    def _count_auth(self, line: str) -> None:
        self._server.auth_bytes += len(line) + 2

    def _mail(self, rest: str) -> None:
        address = _address(rest)
        if self._server.require_auth and self._user is None:
            self.say("530 5.7.0 log in first")
        elif self._mail_from is not None:
            self.say("503 5.5.1 nested MAIL")
        elif 200 <= self._answer("250 2.1.0 ok", f"mail:{address}", "mail") < 300:
            self._mail_from = address

    def _rcpt(self, rest: str) -> None:
        address = _address(rest)
        if self._mail_from is None:
            self.say("503 5.5.1 MAIL first")
        elif 200 <= self._answer("250 2.1.5 ok", f"rcpt:{address}", "rcpt") < 300:
            self._recipients.append(address)

    def _data(self, _: str) -> None:
        behaviour = self._server.behaviour("data")
        if behaviour:
            behaviour(self)
            if self._last_code != 354:
                return
        elif not self._recipients:
            self.say("554 5.5.1 no valid recipients")
            return
        else:
            self.say("354 go ahead")
        if behaviour := self._server.behaviour("body"):
            behaviour(self)
        self._take(self._content())

    def _take(self, content: bytes) -> None:
        envelope = (self._mail_from or "", tuple(self._recipients))
        self._begin()
        received = Received(*envelope, content, self._user, self._encrypted)
        number = len(self._server.messages) + 1
        self._last_code = 0
        behaviour = self._server.behaviour("dot")
        if behaviour is None:
            # Before the reply: who has read the reply may look for the message.
            self._server.take(received)
            self.say(f"250 2.0.0 ok: queued as {number}")
            return
        try:
            behaviour(self)
        finally:
            if 200 <= self._last_code < 300:
                self._server.take(received)

    def _rset(self, _: str) -> None:
        self._begin()
        self._answer("250 2.0.0 ok", "rset")

    def _noop(self, _: str) -> None:
        self._answer("250 2.0.0 ok", "noop")

    def _quit(self, _: str) -> None:
        self._answer("221 2.0.0 bye", "quit")
        raise Dropped

    def _begin(self) -> None:
        self._mail_from = None
        self._recipients = []

    def _content(self) -> bytes:
        while not self._buffer.startswith(b".\r\n") and b"\r\n.\r\n" not in self._buffer:
            self._fill()
        if self._buffer.startswith(b".\r\n"):
            self._buffer = self._buffer[3:]
            return b""
        content, _, self._buffer = self._buffer.partition(b"\r\n.\r\n")
        lines = (content + b"\r\n").split(b"\r\n")
        return b"\r\n".join(line.removeprefix(b".") for line in lines)

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("utf-8", "surrogateescape")

    def _fill(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise Dropped
        self._buffer += data


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]
