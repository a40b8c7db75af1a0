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

import contextlib
import socket
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Literal, Self

from tests import smtp_certificates
from tests.smtp_behaviours import (
    Behaviour,
    Dropped,
    Script,
    drip,
    drop,
    endless,
    hang,
    long_line,
    raw,
    read_body,
    reply,
    then,
    wait,
)
from tests.smtp_certificates import Certificate
from tests.smtp_talk import Received, Talk

__all__ = [
    "EXTENSIONS",
    "Received",
    "SmtpServer",
    "drip",
    "drop",
    "endless",
    "hang",
    "long_line",
    "raw",
    "read_body",
    "reply",
    "then",
    "wait",
]

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10485760", "SMTPUTF8", "ENHANCEDSTATUSCODES")


class SmtpServer:
    """Runs while its `with` block does. Everything that it saw can be asked afterwards.

    `auth` maps users to passwords and offers `mechanisms` (after TLS only, where there is TLS).
    `tokens` holds the access tokens that are taken, for whatever user, and offers XOAUTH2.
    `commands` holds every line that came, AUTH lines included; `auth_bytes` counts those of AUTH
    and its continuations. `said` holds every line of the server's own but those of raw bytes.
    """

    def __init__(
        self,
        *,
        tls: Literal["starttls", "tls"] | None = None,
        auth: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] = ("PLAIN", "LOGIN"),
        tokens: Container[str] | None = None,
        require_auth: bool = False,
        certificate: Certificate | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        script: Script | None = None,
        newest_tls: ssl.TLSVersion | None = None,
        port: int = 0,
    ) -> None:
        self.tls = tls
        self.auth = auth
        self.tokens = tokens
        self.mechanisms = (
            *(mechanisms if auth is not None else ()),
            *(("XOAUTH2",) if tokens is not None else ()),
        )
        self.require_auth = require_auth
        self.certificate = certificate or smtp_certificates.valid()
        self.extensions = extensions
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.said: list[str] = []
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


def _context(certificate: Certificate, newest: ssl.TLSVersion | None) -> ssl.SSLContext:
    context = certificate.server_context()
    if newest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings():  # old versions are what is wanted here
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = newest
    return context
