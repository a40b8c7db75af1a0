"""MAIL, RCPT, DATA, content, dot: one or more transactions on an open session, without I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field

from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.channel import Broken, Channel, Command
from portal.smtp.events import ContentWanted, Envelope, Event, Finished, Listener
from portal.smtp.replies import Reply
from portal.smtp.values import Accepted, Failure, Outcome, Phase, Refused, Unknown
from portal.smtp.wire import wire_address

# Phase, cause, reply, detail -> Failure: the dialogue knows the peer and the secrets to mask.
FailureMaker = Callable[[Phase, Cause | None, Reply | None, str | None], Failure]


@dataclass(slots=True, eq=False)
class _Transaction:
    envelope: Envelope
    phase: Phase = Phase.MAIL
    answered: bool = False
    stale: bool = False
    failure: Failure | None = None
    taken: list[str] = field(default_factory=list)
    refused: dict[str, Failure] = field(default_factory=dict)
    dot_at: int | None = None
    final: Reply | None = None

    @property
    def pointless(self) -> bool:
        """Nobody is left who could get the message."""
        return self.failure is not None or not self.taken


class Transactions:
    """Runs envelopes one after another; the next may begin as soon as a dot has been given."""

    def __init__(
        self,
        channel: Channel,
        events: list[Event],
        fail: FailureMaker,
        ip: str,
        listener: Listener | None,
    ) -> None:
        self.capabilities = Capabilities()
        self._channel = channel
        self._events = events
        self._fail = fail
        self._ip = ip
        self._listener = listener
        self._open: list[_Transaction] = []
        self._unclean = False
        self._answered_before = False

    @property
    def idle(self) -> bool:
        return not self._open

    def begin(self, envelope: Envelope) -> None:
        transaction = _Transaction(envelope)
        self._open.append(transaction)
        lines = self._envelope_lines(transaction)
        if not lines:
            self._finish(transaction, clean=True)
            return
        if self._unclean:
            self._unclean = False
            self._queue(transaction, b"RSET\r\n", Phase.RESET, self._reset)
        self._queue(transaction, lines[0], Phase.MAIL, self._mail)
        for recipient, line in zip(envelope.recipients, lines[1:], strict=True):
            self._queue(
                transaction,
                line,
                Phase.RCPT,
                lambda t, reply, recipient=recipient: self._recipient(t, reply, recipient),
            )
        if envelope.probe:
            self._queue(transaction, b"RSET\r\n", Phase.RESET, self._probed)
        else:
            self._queue(transaction, b"DATA\r\n", Phase.DATA, self._data, ends_group=True)

    def content(self, content: bytes) -> None:
        self._current().phase = Phase.BODY
        self._channel.add(content)

    def dot(self) -> None:
        transaction = self._current()
        transaction.phase = Phase.DOT
        transaction.dot_at = self._channel.offset
        self._queue(transaction, b".\r\n", Phase.DOT, self._dot)

    def lost(self, failure: Failure, reply: Reply | None, sent: int) -> None:
        """Settles everything that is open: the connection is gone after `sent` bytes."""
        for transaction in list(self._open):
            self._settle(transaction, failure, reply, sent)

    def dot_reply_is_unreadable(self, reply: Reply) -> None:
        """The server said no after a dot, in bytes that are not SMTP: no is certain, why is not."""
        if self._open:
            self._open[0].final = reply

    def _envelope_lines(self, transaction: _Transaction) -> list[bytes]:
        envelope = transaction.envelope
        limit = self.capabilities.size
        if limit is not None and envelope.size > limit:
            detail = f"{envelope.size} bytes; the server takes {limit}"
            transaction.failure = self._fail(Phase.MAIL, Cause.SIZE_EXCEEDED, None, detail)
            return []
        sender = wire_address(envelope.mail_from) if envelope.mail_from else ""
        recipients = [wire_address(recipient) for recipient in envelope.recipients]
        if cause := self._unwritable(sender, recipients):
            phase = Phase.MAIL if cause is Cause.SENDER_REFUSED else Phase.RCPT
            detail = "the address can't be written in SMTP"
            transaction.failure = self._fail(phase, cause, None, detail)
            return []
        lines = [f"MAIL FROM:<{sender}>{self._parameters(envelope, [sender, *recipients])}\r\n"]
        lines += [f"RCPT TO:<{recipient}>\r\n" for recipient in recipients]
        return [line.encode() for line in lines]

    def _unwritable(self, sender: str | None, recipients: list[str | None]) -> Cause | None:
        if sender is None:
            return Cause.SENDER_REFUSED
        if None in recipients or not recipients:
            return Cause.RECIPIENT_REFUSED
        ascii_only = all(address and address.isascii() for address in recipients)
        if self.capabilities.smtputf8 or (ascii_only and sender.isascii()):
            return None
        return Cause.UTF8_NEEDED

    def _parameters(self, envelope: Envelope, addresses: list[str | None]) -> str:
        parameters = ""
        if self.capabilities.announces_size and envelope.size:
            parameters += f" SIZE={envelope.size}"
        # Where 8BITMIME is not offered the bytes go as they are: our own messages are ASCII, and
        # rewriting a foreign one would break its signatures.
        if envelope.eight_bit and self.capabilities.eight_bit:
            parameters += " BODY=8BITMIME"
        if not all(address is None or address.isascii() for address in addresses):
            parameters += " SMTPUTF8"
        return parameters

    def _queue(
        self,
        transaction: _Transaction,
        line: bytes,
        phase: Phase,
        answer: Callable[[_Transaction, Reply], None],
        ends_group: bool = False,
    ) -> None:
        def answered(reply: Reply) -> None:
            answer(transaction, reply)

        self._channel.queue(Command(line, phase, answered, transaction, ends_group))

    def _reset(self, transaction: _Transaction, reply: Reply) -> None:
        if not reply.ok:
            raise Broken(Cause.PROTOCOL_ERROR, "RSET was refused", reply)
        self._passed(Phase.RESET, reply)

    def _mail(self, transaction: _Transaction, reply: Reply) -> None:
        # A server that closes an idle session says so to whoever speaks next.
        transaction.stale = reply.code == 421 and self._answered_before
        transaction.answered = True
        transaction.phase = Phase.RCPT
        if reply.ok:
            self._passed(Phase.MAIL, reply)
            return
        self._refuse(transaction, self._fail(Phase.MAIL, None, reply, None))

    def _recipient(self, transaction: _Transaction, reply: Reply, recipient: str) -> None:
        if transaction.failure:
            self._finish_if_last(transaction)
            return
        if reply.ok:
            transaction.taken.append(recipient)
            self._passed(Phase.RCPT, reply)
        else:
            transaction.refused[recipient] = self._fail(Phase.RCPT, None, reply, None)
        recipients = transaction.envelope.recipients
        if len(transaction.taken) + len(transaction.refused) < len(recipients):
            return
        transaction.phase = Phase.DATA
        if not transaction.taken and not transaction.envelope.probe:
            self._finish_if_last(transaction)

    def _data(self, transaction: _Transaction, reply: Reply) -> None:
        if reply.code == 354 and transaction.pointless:
            # Nobody was accepted, and still the server wants content: it gets none (RFC 2920, 3.1).
            self._queue(transaction, b".\r\n", Phase.DOT, self._lone_dot)
        elif reply.code == 354:
            transaction.phase = Phase.BODY
            self._passed(Phase.DATA, reply)
            self._events.append(ContentWanted(transaction.envelope))
        elif transaction.pointless:
            self._finish(transaction)
        elif reply.code < 400:
            raise Broken(Cause.PROTOCOL_ERROR, f"{reply.code} where 354 is due", reply)
        else:
            self._refuse(transaction, self._fail(Phase.DATA, None, reply, None))

    def _dot(self, transaction: _Transaction, reply: Reply) -> None:
        if 300 <= reply.code <= 399:
            raise Broken(Cause.PROTOCOL_ERROR, f"{reply.code} after the final dot", reply)
        transaction.final = reply
        if reply.ok:
            self._passed(Phase.DOT, reply)
        self._finish(transaction, clean=True)

    def _lone_dot(self, transaction: _Transaction, reply: Reply) -> None:
        self._finish(transaction)

    def _probed(self, transaction: _Transaction, reply: Reply) -> None:
        if reply.ok:
            self._passed(Phase.RESET, reply)
        self._finish(transaction, clean=reply.ok)

    def _refuse(self, transaction: _Transaction, failure: Failure) -> None:
        transaction.failure = failure
        if transaction.envelope.probe and failure.phase is Phase.MAIL:
            return
        self._finish_if_last(transaction)

    def _finish_if_last(self, transaction: _Transaction) -> None:
        if self._channel.withdraw(transaction):
            self._finish(transaction)

    def _finish(self, transaction: _Transaction, *, clean: bool = False) -> None:
        self._unclean = self._unclean or not clean
        self._answered_before = True
        self._open.remove(transaction)
        untouched = transaction.stale
        outcomes = tuple(self._outcome(transaction, r) for r in transaction.envelope.recipients)
        self._events.append(Finished(transaction.envelope, outcomes, untouched))

    def _outcome(self, transaction: _Transaction, recipient: str) -> Outcome:
        if failure := transaction.refused.get(recipient) or transaction.failure:
            return Refused(failure)
        if transaction.final is None:  # a probe: taken, and no content was to follow
            return Accepted(250, "", self._ip)
        if not transaction.final.ok:
            return Refused(self._fail(Phase.DOT, None, transaction.final, None))
        shown = self._fail(Phase.DOT, None, transaction.final, None).reply or ""
        return Accepted(transaction.final.code, shown, self._ip)

    def _settle(
        self, transaction: _Transaction, failure: Failure, reply: Reply | None, sent: int
    ) -> None:
        ...

    def _current(self) -> _Transaction:
        return self._open[0]

    def _passed(self, phase: Phase, reply: Reply) -> None:
        if self._listener:
            self._listener.passed(phase, reply.text)
