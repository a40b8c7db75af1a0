"""MAIL, RCPT, DATA, content, dot: one or more transactions on an open session, without I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.channel import Broken, Channel, Command
from portal.smtp.envelopes import Unwritable, envelope_commands
from portal.smtp.events import ContentWanted, Envelope, Event, Finished, Listener
from portal.smtp.replies import Reply
from portal.smtp.reports import Reporter
from portal.smtp.said import chosen_words
from portal.smtp.values import Accepted, Failure, Outcome, Phase, Refused, Unknown

_AFTER_DOT = {
    Cause.TIMEOUT: Cause.TIMEOUT_AFTER_DOT,
    Cause.CONNECTION_LOST: Cause.LOST_AFTER_DOT,
}


@dataclass(slots=True, eq=False)
class _Transaction:
    """`replies` and `refused` go by the recipient's place in the envelope; `dot_at` is where in
    the stream the final dot stands; `stale`: a session that had idled away answered 421."""

    envelope: Envelope
    phase: Phase = Phase.MAIL
    answered: bool = False
    stale: bool = False
    failure: Failure | None = None
    replies: dict[int, Reply] = field(default_factory=dict)
    refused: dict[int, Failure] = field(default_factory=dict)
    dot_at: int | None = None
    final: Reply | None = None
    content: bytes = b""

    @property
    def chosen(self) -> str:
        """The words of the mail that a reply may echo."""
        return chosen_words(self.envelope.recipients, self.content)

    @property
    def pointless(self) -> bool:
        """Nobody is left who could get the message."""
        return self.failure is not None or len(self.refused) == len(self.envelope.recipients)


class Transactions:
    """Runs envelopes one after another; the next may begin as soon as a dot has been given."""

    def __init__(self, channel: Channel, reporter: Reporter, listener: Listener | None) -> None:
        self.capabilities = Capabilities()
        self.events: list[Event] = []
        self._channel = channel
        self._reporter = reporter
        self._listener = listener
        self._open: list[_Transaction] = []
        self._needs_reset = False
        self._used = False

    @property
    def idle(self) -> bool:
        return not self._open

    def begin(self, envelope: Envelope) -> None:
        transaction = _Transaction(envelope)
        self._open.append(transaction)
        commands = envelope_commands(envelope, self.capabilities)
        if isinstance(commands, Unwritable):
            transaction.failure = self._reporter.failure(
                commands.phase, commands.cause, detail=commands.detail
            )
            self._finish(transaction, needs_reset=False)
            return
        self._queue_envelope(transaction, *commands)

    def content(self, content: bytes) -> None:
        transaction = self._wanting()
        transaction.phase, transaction.content = Phase.BODY, content
        self._channel.add(content)

    def dot(self) -> None:
        transaction = self._wanting()
        transaction.phase = Phase.DOT
        transaction.dot_at = self._channel.offset
        self._queue(transaction, b".\r\n", Phase.DOT, self._dot)

    def lost(self, failure: Failure, *, sent: int) -> None:
        """Settles everything that is open: the connection is over after `sent` bytes."""
        for transaction in list(self._open):
            self._settle(transaction, failure, sent)

    def _queue_envelope(
        self, transaction: _Transaction, mail: bytes, recipients: list[bytes]
    ) -> None:
        if self._needs_reset:
            self._needs_reset = False
            self._queue(transaction, b"RSET\r\n", Phase.RESET, self._reset)
        self._queue(transaction, mail, Phase.MAIL, self._mail)
        for place, line in enumerate(recipients):
            self._queue(transaction, line, Phase.RCPT, partial(self._recipient, place))
        if transaction.envelope.probe:
            self._queue(transaction, b"RSET\r\n", Phase.RESET, self._probed)
        else:
            self._queue(transaction, b"DATA\r\n", Phase.DATA, self._data, ends_group=True)

    def _queue(
        self,
        transaction: _Transaction,
        line: bytes,
        phase: Phase,
        answer: Callable[[_Transaction, Reply], None],
        *,
        ends_group: bool = False,
    ) -> None:
        answered = partial(answer, transaction)
        self._channel.queue(Command(line, phase, answered, transaction, ends_group))

    def _reset(self, transaction: _Transaction, reply: Reply) -> None:
        if not reply.ok:
            raise Broken(Cause.CONNECTION_LOST, detail="RSET was refused", reply=reply)

    def _mail(self, transaction: _Transaction, reply: Reply) -> None:
        # A server that has closed an idle session says so to whoever speaks next.
        transaction.stale = reply.code == 421 and self._used
        transaction.answered = True
        _refuse_intermediate(reply)
        transaction.phase = Phase.RCPT
        if reply.ok:
            self._passed(Phase.MAIL, reply)
        else:
            transaction.failure = self._reporter.failure(Phase.MAIL, reply=reply)
            self._finish_if_last(transaction)

    def _recipient(self, place: int, transaction: _Transaction, reply: Reply) -> None:
        if transaction.failure:
            self._finish_if_last(transaction)
            return
        _refuse_intermediate(reply)
        transaction.replies[place] = reply
        if reply.ok:
            self._passed(Phase.RCPT, reply)
        else:
            transaction.refused[place] = self._failed(transaction, Phase.RCPT, reply)
        if len(transaction.replies) == len(transaction.envelope.recipients):
            transaction.phase = Phase.DATA
            if transaction.pointless and not transaction.envelope.probe:
                self._finish_if_last(transaction)

    def _data(self, transaction: _Transaction, reply: Reply) -> None:
        if reply.code == 354 and transaction.pointless:
            # Nobody was accepted and the server wants content all the same (RFC 2920, 3.1).
            self._queue(transaction, b".\r\n", Phase.DOT, self._lone_dot)
        elif reply.code == 354:
            transaction.phase = Phase.BODY
            self._passed(Phase.DATA, reply)
            self.events.append(ContentWanted(transaction.envelope))
        elif reply.code < 400:
            detail = f"{reply.code} where 354 was due"
            raise Broken(Cause.PROTOCOL_ERROR, detail=detail, reply=reply)
        else:
            failure = self._failed(transaction, Phase.DATA, reply)
            transaction.failure = transaction.failure or failure
            self._finish(transaction)

    def _dot(self, transaction: _Transaction, reply: Reply) -> None:
        _refuse_intermediate(reply)
        transaction.final = reply
        if reply.ok:
            self._passed(Phase.DOT, reply)
        else:
            transaction.failure = self._failed(transaction, Phase.DOT, reply)
        self._finish(transaction, needs_reset=False)

    def _lone_dot(self, transaction: _Transaction, reply: Reply) -> None:
        _refuse_intermediate(reply)
        self._finish(transaction)

    def _probed(self, transaction: _Transaction, reply: Reply) -> None:
        if reply.ok:
            self._passed(Phase.RESET, reply)
        self._finish(transaction, needs_reset=not reply.ok)

    def _finish_if_last(self, transaction: _Transaction) -> None:
        if self._channel.withdraw(transaction):
            self._finish(transaction)

    def _finish(self, transaction: _Transaction, *, needs_reset: bool = True) -> None:
        self._needs_reset = self._needs_reset or needs_reset
        self._used = True
        self._open.remove(transaction)
        places = range(len(transaction.envelope.recipients))
        outcomes = tuple(self._outcome(transaction, place) for place in places)
        self.events.append(Finished(transaction.envelope, outcomes, transaction.stale))

    def _outcome(self, transaction: _Transaction, place: int) -> Outcome:
        if failure := transaction.refused.get(place) or transaction.failure:
            return Refused(failure)
        # A probe has no final reply: what the server said to RCPT stands for it.
        reply = transaction.final or transaction.replies[place]
        return Accepted(reply.code, self._reporter.text(reply), self._reporter.ip)

    def _settle(self, transaction: _Transaction, failure: Failure, sent: int) -> None:
        gone = transaction.dot_at is not None and sent > transaction.dot_at
        if gone and (failure.code or 0) < 400:
            cause = _AFTER_DOT.get(Cause(failure.cause), Cause(failure.cause))
            self._abandon(transaction, Unknown(replace(failure, phase=Phase.DOT, cause=cause)))
            return
        phase = transaction.phase if gone or transaction.phase is not Phase.DOT else Phase.BODY
        if failure.cause == Cause.PROTOCOL_ERROR:
            # Out of step: what it seemed to refuse here it may have said of something else.
            transaction.failure = None
            transaction.refused.clear()
        failure = transaction.failure or replace(failure, phase=phase)
        self._abandon(transaction, Refused(failure))

    def _abandon(self, transaction: _Transaction, outcome: Outcome) -> None:
        self._open.remove(transaction)
        refused = transaction.refused
        outcomes = tuple(
            Refused(refused[place]) if place in refused else outcome
            for place in range(len(transaction.envelope.recipients))
        )
        untouched = transaction.stale or not transaction.answered
        self.events.append(Finished(transaction.envelope, outcomes, untouched))

    def _failed(self, transaction: _Transaction, phase: Phase, reply: Reply) -> Failure:
        chosen = transaction.chosen if reply.code >= 500 else ""  # 4yz passes, whatever its words
        return self._reporter.failure(phase, reply=reply, chosen=chosen)

    def _wanting(self) -> _Transaction:
        if not self._open or self._open[0].phase is not Phase.BODY:
            raise RuntimeError("content was given that the server has not asked for")
        return self._open[0]

    def _passed(self, phase: Phase, reply: Reply) -> None:
        if self._listener:
            self._listener.passed(phase, reply.text)


def _refuse_intermediate(reply: Reply) -> None:
    """Only DATA has a 3yz: elsewhere the server waits for something that was never announced, and
    would take the next commands for it."""
    if 300 <= reply.code <= 399:
        detail = f"{reply.code} where no more was to come"
        raise Broken(Cause.PROTOCOL_ERROR, detail=detail, reply=reply)
