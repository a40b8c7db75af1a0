"""A scripted SMTP server on a real socket, in threads: honest unless told to misbehave.

    with SmtpServer(script={"rcpt": reply("451 4.7.1 come back later")}) as server:
        ...
        assert server.messages == []

A script maps a phase to a behaviour, or to a list of them for the first, second, ... time (None:
honest); after the list it is honest again. Phases: greeting, ehlo, helo, starttls, handshake,
auth, mail, rcpt, data, body, dot, rset, noop, quit; `rcpt:ann@acme.test` and `mail:...` name one
address. `body` acts before the content is read, `dot` in place of the final reply: the message
then counts as received only if the behaviour replies 2xx.
"""

import base64
import contextlib
import email.policy
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Literal, Self

from tests import smtp_certificates
from tests.smtp_certificates import Certificate

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10485760", "SMTPUTF8", "ENHANCEDSTATUSCODES")


class Dropped(Exception):
    """The server closes this connection now."""


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


Behaviour = Callable[["Talk"], None]
Script = Mapping[str, Behaviour | Sequence[Behaviour | None]]


def reply(*lines: str) -> Behaviour:
    """Answers with these whole lines, code first: `reply("250-a", "250 b")`."""
    return lambda talk: talk.say(*lines)


def drop() -> Behaviour:
    """Closes the connection without a word."""

    def behave(talk: "Talk") -> None:
        raise Dropped

    return behave


def hang() -> Behaviour:
    """Says nothing until the client gives up or the server stops."""

    def behave(talk: "Talk") -> None:
        talk.wait_for_the_end()
        raise Dropped

    return behave


def wait(seconds: float) -> Behaviour:
    """Waits; follow it with `then(wait(1), reply("250 ok"))`."""
    return lambda talk: talk.pause(seconds)


def raw(data: bytes) -> Behaviour:
    """Sends these bytes as they are."""
    return lambda talk: talk.send(data)


def drip(data: bytes, *, every: float) -> Behaviour:
    """Sends one byte each so many seconds."""

    def behave(talk: "Talk") -> None:
        for byte in data:
            talk.send(bytes([byte]))
            talk.pause(every)

    return behave


def endless(code: int) -> Behaviour:
    """A multi-line reply without end."""

    def behave(talk: "Talk") -> None:
        while not talk.stopping:
            talk.send(b"%d-and so on\r\n" % code * 100)
        raise Dropped

    return behave


def long_line(length: int = 20_000) -> Behaviour:
    return raw(b"250 " + b"x" * length + b"\r\n")


def read_body(size: int) -> Behaviour:
    """For `body`: reads so many bytes of the content before what follows."""
    return lambda talk: talk.read_some(size)


def then(*behaviours: Behaviour) -> Behaviour:
    """One after another: `then(reply("250 ok"), drop())`."""

    def behave(talk: "Talk") -> None:
        for behaviour in behaviours:
            behaviour(talk)

    return behave


class SmtpServer:
    """Runs while its `with` block does. Everything that it saw can be asked afterwards.

    `auth` maps users to passwords and offers `mechanisms` (after TLS only, where there is TLS).
    `commands` holds every line that came, AUTH lines included; `auth_bytes` counts those of AUTH
    and its continuations.
    """

    def __init__(
        self,
        *,
        tls: Literal["starttls", "tls"] | None = None,
        auth: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] = ("PLAIN", "LOGIN"),
        require_auth: bool = False,
        certificate: Certificate | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        script: Script | None = None,
        newest_tls: ssl.TLSVersion | None = None,
        port: int = 0,
    ) -> None:
        self.tls = tls
        self.auth = auth
        self.mechanisms = mechanisms
        self.require_auth = require_auth
        self.certificate = certificate or smtp_certificates.valid()
        self.extensions = extensions
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self.handshakes = 0
        self.auth_bytes = 0
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self._script: dict[str, Behaviour | Sequence[Behaviour | None]] = dict(script or {})
        self._turns: Counter[str] = Counter()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._port = port
        self.context = _context(self.certificate, newest_tls) if tls else None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self._port

    @property
    def ca(self) -> str:
        """The authority (PEM) that a client has to trust."""
        return self.certificate.ca

    def set_script(self, **script: Behaviour | Sequence[Behaviour | None]) -> None:
        """Replaces the script from now on; `set_script()` makes the server honest."""
        with self.changed:
            self._script = dict(script)
            self._turns.clear()

    def wait_for_messages(self, count: int, *, seconds: float = 10) -> list[Received]:
        """The messages, once there are at least so many; fails the test after the time."""
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.messages) >= count, seconds)
        assert enough, f"{len(self.messages)} messages came, {count} were awaited"
        return list(self.messages)

    def behaviour(self, *phases: str) -> Behaviour | None:
        """What the script says for the first of these phases that it names."""
        with self.changed:
            name = next((phase for phase in phases if phase in self._script), None)
            if name is None:
                return None
            scripted = self._script[name]
            if callable(scripted):
                return scripted
            turn = self._turns[name]
            self._turns[name] += 1
            return scripted[turn] if turn < len(scripted) else None

    def take(self, received: Received) -> None:
        with self.changed:
            self.messages.append(received)
            self.changed.notify_all()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.host, self._port), backlog=256)
        self._port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = Talk(self, connection)
        try:
            talk.run()
        except (Dropped, OSError, ValueError):
            pass
        finally:
            self._open.discard(connection)
            talk.close()


class Talk:
    """The server's side of one connection."""

    def __init__(self, server: SmtpServer, connection: socket.socket) -> None:
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
        if self._server.auth is not None and (self._encrypted or self._server.tls is None):
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
        user, password = self._credentials(mechanism.upper(), initial)
        if self._server.auth is not None and self._server.auth.get(user) == password:
            self._user = user
            self.say("235 2.7.0 welcome")
        else:
            self.say("535 5.7.8 wrong user or password")

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


def _context(certificate: Certificate, newest: ssl.TLSVersion | None) -> ssl.SSLContext:
    context = certificate.server_context()
    if newest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    return context


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]
