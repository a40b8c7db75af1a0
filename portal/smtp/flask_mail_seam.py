"""Flask-Mail as the application writes and records messages, with our own client underneath.

Its stock Connection has no timeout, verifies no certificate, drops refusals, turns a failing QUIT
into a failure after acceptance, and sends an organization's mail by the application's server.
"""

import email.charset
import socket
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from flask import current_app
from flask_mail import Connection, Mail, Message, email_dispatched

from portal import clock
from portal.destinations import Guard
from portal.smtp.blocking import Session, open_session
from portal.smtp.message import build_message, make_message_id
from portal.smtp.values import Accepted, Bundle, Outcome, SessionFailed

# Flask-Mail changes how the whole process encodes UTF-8 text in MIME; this is what Python does.
email.charset.add_charset("utf-8", email.charset.SHORTEST, email.charset.BASE64, "utf-8")


class WrongSender(ValueError):
    """A message names another sender than the bundle that is to send it, or none."""


class NotSupported(ValueError):
    """A message holds what a notification mail does not: attachments, cc, bcc, other parts."""


class NotAccepted(Exception):
    """The server did not take a message for everyone. `outcomes`: each recipient's own."""

    def __init__(self, outcomes: dict[str, Outcome]) -> None:
        self.outcomes = outcomes
        missing = [r for r, outcome in outcomes.items() if not isinstance(outcome, Accepted)]
        super().__init__(f"{len(missing)} of {len(outcomes)} recipients were not accepted")


class SenderMail(Mail):
    """One sender's own Flask-Mail: it sends by its bundle whatever the application is set to.

    `suppress`: nothing is sent, and `record_messages` still records.
    """

    def __init__(self, bundle: Bundle, *, guard: Guard, suppress: bool = False) -> None:
        super().__init__()
        self.state = self.init_mail({"MAIL_SUPPRESS_SEND": suppress, "MAIL_DEBUG": 0})
        self._bundle = bundle
        self._guard = guard

    def connect(self) -> "SenderConnection":
        return SenderConnection(self.state, self._bundle, self._guard)


class SenderConnection(Connection):
    """Sends Flask-Mail messages over one session, and over a new one when that is spent."""

    def __init__(self, state: Any, bundle: Bundle, guard: Guard) -> None:
        super().__init__(state)
        self._bundle = bundle
        self._guard = guard
        self._session: Session | None = None

    def __enter__(self) -> Self:
        """Opens the session. Raises SessionFailed."""
        if not self.mail.suppress:
            self._session = self._open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._session:
            self._session.close()
            self._session = None

    def configure_host(self) -> Any:
        raise NotImplementedError("sessions are opened by the client that verifies certificates")

    def send(self, message: Message, envelope_from: str | tuple[str, str] | None = None) -> None:
        """Sends to each recipient a copy of its own.

        Raises WrongSender, NotSupported and UnsafeMessage before anything is sent, SessionFailed
        where no session opens, NotAccepted where anyone was refused or the outcome is unknown.
        """
        mail_from = self._mail_from(envelope_from)
        contents = _contents(message, self._bundle)
        if not self.mail.suppress:
            outcomes = {to: self._deliver(mail_from, to, c) for to, c in contents.items()}
            if any(isinstance(outcome, Accepted) for outcome in outcomes.values()):
                self._announce(message)
            if not all(isinstance(outcome, Accepted) for outcome in outcomes.values()):
                raise NotAccepted(outcomes)
        else:
            self._announce(message)

    def _mail_from(self, envelope_from: str | tuple[str, str] | None) -> str:
        allowed = (None, self._bundle.mail_from, self._bundle.from_address)
        if envelope_from not in allowed:
            raise WrongSender("the envelope sender is not this sender's")
        return envelope_from if isinstance(envelope_from, str) else self._bundle.mail_from

    def _deliver(self, mail_from: str, recipient: str, content: bytes) -> Outcome:
        try:
            return self._usable().send(mail_from, recipient, content)
        except SessionFailed:
            # The session had idled away and nothing was handed over; a new one fails by itself.
            return self._usable().send(mail_from, recipient, content)

    def _usable(self) -> Session:
        if self._session is None or not self._session.usable:
            if self._session:
                self._session.close()
            self._session = self._open()
        return self._session

    def _open(self) -> Session:
        return open_session(self._bundle, guard=self._guard)

    def _announce(self, message: Message) -> None:
        application = current_app._get_current_object()  # type: ignore[attr-defined]
        email_dispatched.send(application, message=message)
        self.num_emails += 1


def _contents(message: Message, bundle: Bundle) -> dict[str, bytes]:
    """Each recipient's mail, built by our own builder: checked headers, no line over 998."""
    if message.cc or message.bcc or message.attachments or set(message.alts) - {"html"}:
        raise NotSupported("a notification has recipients, a text and an HTML part, nothing else")
    if not message.recipients:
        raise NotSupported("a notification needs a recipient")
    _own_message_id(message, bundle)
    message.date = message.date or clock.utcnow().timestamp()
    recipients = dict.fromkeys(_address(recipient) for recipient in message.recipients)
    return {to: _content(message, bundle, to) for to in recipients}


def _content(message: Message, bundle: Bundle, to_address: str) -> bytes:
    return build_message(
        message_id=message.msgId,
        date=datetime.fromtimestamp(message.date or 0, UTC),
        from_name=_sender_name(message, bundle),
        from_address=bundle.from_address,
        to_address=to_address,
        subject=str(message.subject),
        text=message.body or "",
        html=message.html,
        reply_to=_address(message.reply_to) if message.reply_to else None,
        extra_headers=message.extra_headers,
    )


def _sender_name(message: Message, bundle: Bundle) -> str:
    """The name before `<address>`. Raises WrongSender for any address but the bundle's own.

    Flask-Mail fills a missing sender with the application's, and joins name and address without
    quotes: the name is what stands before the one address that may be there.
    """
    sender = message.sender
    if isinstance(sender, tuple):
        sender = f"{sender[0]} <{sender[1]}>"
    if sender == bundle.from_address:
        return bundle.display_name
    ending = f"<{bundle.from_address}>"
    if not sender or not sender.endswith(ending):
        raise WrongSender("a message has to name the From address of the sender that sends it")
    name = sender.removesuffix(ending).strip()
    if any(character in name for character in "@<>"):
        raise WrongSender("the sender's name looks like an address")
    return name.removeprefix('"').removesuffix('"')


def _own_message_id(message: Message, bundle: Bundle) -> None:
    # Flask-Mail's own shows the machine's name; one that was set stays, for a second try.
    if message.msgId.endswith(f"@{socket.getfqdn()}>"):
        message.msgId = make_message_id(bundle.from_address, "localhost")


def _address(value: str | tuple[str, str]) -> str:
    """The address alone; the builder refuses what is not one."""
    if isinstance(value, tuple):
        return value[1]
    return value.rpartition("<")[2].removesuffix(">") if value.endswith(">") else value
