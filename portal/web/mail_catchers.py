"""A mail catcher on this machine: an SMTP server that keeps all mail and hands none on, to look
around with before there is a real one."""

import socket
from dataclasses import dataclass

from flask import current_app
from flask_babel import gettext as _

from portal.address_spelling import with_port
from portal.config import Config

# Where mail catchers listen unless they are told otherwise.
_USUAL = ("127.0.0.1", 1025)
# By what they say first. A way to a real mailbox may listen at the same place, so that a server
# which does not say what it is must not be taken for one that keeps mail.
_KNOWN = {
    b"mailpit": "Mailpit",
    b"mailhog": "MailHog",
    b"smtp4dev": "smtp4dev",
    b"eventmachine": "MailCatcher",
    b"maildev": "MailDev",
    b"inbucket": "Inbucket",
    b"greenmail": "GreenMail",
}
_PATIENCE = 0.5


@dataclass(frozen=True)
class MailCatcher:
    """`name` is for people; it asks for no login and speaks no TLS."""

    name: str
    host: str
    port: int

    @property
    def place(self) -> str:
        return with_port(self.host, self.port)


def found() -> MailCatcher | None:
    """The portal's own mail catcher where it runs one, else a known one at the usual place."""
    config: Config = current_app.extensions["config"]
    if config.mail_catcher_at is not None:
        host, _colon, port = config.mail_catcher_at.rpartition(":")
        return MailCatcher(_("built in"), host, int(port))
    host, usual_port = _USUAL
    greeting = _greeting(host, usual_port).lower()
    name = next((name for word, name in _KNOWN.items() if word in greeting), None)
    return MailCatcher(name, host, usual_port) if name else None


def _greeting(host: str, port: int) -> bytes:
    """The first line of an SMTP server; empty where none answers at once."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE) as connection:
            said = connection.recv(512)
            connection.sendall(b"QUIT\r\n")
    except OSError:
        return b""
    return said if said.startswith(b"220") else b""
