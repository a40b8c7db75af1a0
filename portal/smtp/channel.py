"""Commands out, replies in: which reply belongs to which command (RFC 2920 where offered)."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from portal.smtp.causes import Cause
from portal.smtp.events import Listener
from portal.smtp.replies import BadReply, Reply, ReplyReader, ReplyTooLong
from portal.smtp.values import Phase

# Unanswered commands at a time, so that both sides never wait with full buffers (RFC 2920, 3.1).
_MOST_UNANSWERED = 100


@dataclass(slots=True)
class Command:
    """A line for the server and what to do with the reply to it.

    `ends_group`: nothing may follow before the reply. `shown` is what the transcript says instead
    of the line. `owner` is the transaction that it belongs to, `end` where in the stream of all
    bytes sent it ends.
    """

    line: bytes
    phase: Phase
    answered: Callable[[Reply], None]
    owner: object = None
    ends_group: bool = True
    shown: str | None = None
    end: int = 0


class Broken(Exception):
    """The peer broke the protocol, refused the session or closes: nothing more can be said here.

    Without a cause, what the reply means; without a phase, the one that was answered last.
    """

    def __init__(
        self,
        cause: Cause | None,
        *,
        detail: str | None = None,
        reply: Reply | None = None,
        phase: Phase | None = None,
    ) -> None:
        self.cause = cause
        self.detail = detail
        self.reply = reply
        self.phase = phase
        super().__init__(cause)


class Channel:
    """Pairs commands with replies; a reply before its command has gone out is a lie."""

    def __init__(self, listener: Listener | None) -> None:
        self.pipelining = False
        self.taken = 0
        self._listener = listener
        self._reader = ReplyReader()
        self._waiting: deque[Command] = deque()
        self._written: deque[Command] = deque()
        self._unanswered: deque[Command] = deque()
        self._out = bytearray()

    @property
    def phase(self) -> Phase | None:
        """The phase of the oldest command without a reply."""
        return self._unanswered[0].phase if self._unanswered else None

    @property
    def offset(self) -> int:
        """Where in the stream of all bytes sent the next one will stand."""
        return self.taken + len(self._out)

    def expect(self, command: Command) -> None:
        """A reply that comes without a command: the greeting."""
        self._unanswered.append(command)

    def queue(self, command: Command) -> None:
        self._waiting.append(command)
        self._write()

    def add(self, content: bytes) -> None:
        """Message content; nothing may be waiting before it."""
        self._out += content
        if self._listener:
            self._listener.line(f"C: ({len(content)} bytes of message)")

    def withdraw(self, owner: object) -> bool:
        """Forgets the owner's commands that were not written; True if none is left unanswered."""
        self._waiting = deque(command for command in self._waiting if command.owner is not owner)
        return not any(c.owner is owner for c in (*self._unanswered, *self._written))

    def forget_input(self) -> None:
        self._reader.clear()

    def take(self) -> bytes:
        """The bytes to send now. From here on their replies are expected."""
        data = bytes(self._out)
        self._out.clear()
        self.taken += len(data)
        self._unanswered += self._written
        self._written.clear()
        return data

    def replies(self, data: bytes, *, unsent: int = 0) -> Iterator[tuple[Command, Reply]]:
        """Each whole reply with its command; `unsent` bytes of those taken have not left yet.
        Raises Broken."""
        self._reader.feed(data)
        while True:
            if self._reader.pending and not self._is_due(unsent):
                raise self._unasked()
            reply = self._next()
            if reply is None:
                return
            command = self._unanswered.popleft()
            yield command, reply
            self._write()

    def _is_due(self, unsent: int) -> bool:
        return bool(self._unanswered) and self._unanswered[0].end <= self.taken - unsent

    def _next(self) -> Reply | None:
        try:
            reply = self._reader.next()
        except ReplyTooLong as problem:
            raise self._broken(Cause.REPLY_TOO_LONG, problem.shown) from None
        except BadReply as problem:
            detail = f"not a reply: {problem.shown}"
            raise self._broken(Cause.PROTOCOL_ERROR, detail) from None
        if reply and self._listener:
            self._show(self._listener, reply)
        return reply

    def _unasked(self) -> Broken:
        # 421 may come at any time (RFC 5321, 3.8); everything else was not asked for.
        reply = self._next()
        if reply and reply.code == 421:
            return Broken(Cause.BUSY, reply=reply)
        return Broken(
            Cause.PROTOCOL_ERROR, detail="a reply that nothing had asked for", reply=reply
        )

    def _broken(self, cause: Cause, detail: str) -> Broken:
        return Broken(cause, detail=detail, phase=self.phase)

    def _show(self, listener: Listener, reply: Reply) -> None:
        # A challenge may hold what was sent to the server, in a form that no mask would find.
        lines = ("****",) if reply.code == 334 else reply.lines
        for line in lines[:-1]:
            listener.line(f"S: {reply.code}-{line}")
        listener.line(f"S: {reply.code} {lines[-1]}".rstrip())

    def _write(self) -> None:
        while self._waiting and self._may_write():
            command = self._waiting.popleft()
            self._out += command.line
            command.end = self.offset
            self._written.append(command)
            if self._listener:
                shown = command.shown or command.line.decode("utf-8", "replace").rstrip()
                self._listener.line(f"C: {shown}")

    def _may_write(self) -> bool:
        unanswered = len(self._written) + len(self._unanswered)
        if not unanswered:
            return True
        last = self._written[-1] if self._written else self._unanswered[-1]
        return self.pipelining and not last.ends_group and unanswered < _MOST_UNANSWERED
