"""The built-in mail catcher: a real SMTP server on this machine that keeps what it takes."""

import asyncio
import logging
import signal
import socket
import warnings
from pathlib import Path
from typing import Any

from portal import caught
from portal.caught import Envelope

try:
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    _INSTALLED = True
except ImportError:  # the extra `demo` is not there
    _INSTALLED = False

_LARGEST = 32 * 1024 * 1024


def is_available() -> bool:
    """Whether the extra `demo`, which brings the SMTP server, is installed."""
    return _INSTALLED


def run(folder: Path, *, server: str, fd: int, login_file: Path | None) -> None:
    """Serve until SIGTERM on a socket that is bound already.

    `login_file` holds "user:password" that a client must sign in with; None: no login is offered.
    """
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    # On the loopback interface nobody listens in: a login without TLS is meant.
    warnings.filterwarnings("ignore", module="aiosmtpd", message="Requiring AUTH")
    login = login_file.read_text(encoding="utf-8").strip() if login_file else None
    asyncio.run(_serve(_Handler(folder, server), socket.socket(fileno=fd), login))


async def _serve(handler: "_Handler", listener: socket.socket, login: str | None) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    listener.setblocking(False)
    server = await loop.create_server(lambda: _session(handler, login), sock=listener)
    await stopping.wait()
    server.close()


def _session(handler: "_Handler", login: str | None) -> Any:
    return SMTP(
        handler,
        hostname="mail-catcher.localhost",
        ident="Gatepost mail catcher",
        data_size_limit=_LARGEST,
        enable_SMTPUTF8=True,
        authenticator=_Authenticator(login) if login else None,
        auth_required=login is not None,
        # Without a login AUTH is not offered, which aiosmtpd does where it would need TLS.
        auth_require_tls=login is None,
    )


class _Handler:
    """Called by aiosmtpd with each whole message."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._server = server

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        login = session.auth_data.login.decode() if session.auth_data else None
        mail = caught.keep(
            self._folder,
            Envelope(self._server, login, envelope.mail_from or "", tuple(envelope.rcpt_tos)),
            envelope.original_content or b"",
        )
        return f"250 2.0.0 Kept as {mail.id}"


class _Authenticator:
    """Knows one login."""

    def __init__(self, login: str) -> None:
        self._login = login

    def __call__(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
    ) -> Any:
        known = isinstance(given, LoginPassword) and (
            f"{given.login.decode()}:{given.password.decode()}" == self._login
        )
        return AuthResult(success=known, handled=known, auth_data=given if known else None)
