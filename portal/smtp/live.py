"""An open session that never blocks: a selector loop drives many of them in one thread.

The same dialogue as the blocking driver's. The caller watches `fileno`, calls `read` and `flush`
when the socket is ready and `expire` when `deadline` has passed; each gives the events.
"""

from portal import clock
from portal.smtp.causes import Cause
from portal.smtp.dialogue import Dialogue
from portal.smtp.events import Envelope, Event
from portal.smtp.opening import Opened
from portal.smtp.transport import Lost, Transport
from portal.smtp.trust import Tls
from portal.smtp.values import Phase

DOT_TIMEOUT = 600.0
SLOWEST_RATE = 16384
_IDLE = 10.0


class LiveSession:
    """Not thread-safe. Once `usable` is False it can only be closed.

    `reply_timeout` (seconds) is the longest wait for each reply; the final one has `DOT_TIMEOUT`,
    content the time that it needs at `SLOWEST_RATE` bytes a second. A peer that drips bytes moves
    no deadline: only whole replies do. `begun` counts the transactions.
    """

    def __init__(self, opened: Opened, *, reply_timeout: float) -> None:
        self.ip = opened.ip
        self.tls: Tls | None = opened.tls
        self.watch = opened.watch
        self.begun = 0
        self._dialogue: Dialogue = opened.dialogue
        self._transport: Transport = opened.transport
        self._reply_timeout = reply_timeout
        self._out = bytearray()
        self._content = 0
        self._answered = self._dialogue.answered
        self._since = clock.monotonic()

    def fileno(self) -> int:
        return self._transport.fileno()

    @property
    def usable(self) -> bool:
        return self._dialogue.usable

    @property
    def idle(self) -> bool:
        """No transaction is under way."""
        return self._dialogue.idle

    @property
    def unsent(self) -> bool:
        """The network has not taken everything yet: call `flush` when it can be written to."""
        return bool(self._out)

    @property
    def pipelines(self) -> bool:
        return self._dialogue.capabilities.pipelining

    @property
    def deadline(self) -> float:
        """The instant of `clock.monotonic` at which `expire` is due."""
        if self.idle:
            return self._since + _IDLE
        if self._content:
            return self._since + self._reply_timeout + self._content / SLOWEST_RATE
        waits_for_dot = self._dialogue.phase is Phase.DOT
        return self._since + (DOT_TIMEOUT if waits_for_dot else self._reply_timeout)

    def begin(self, envelope: Envelope) -> list[Event]:
        """Starts a transaction; the one before it may still wait for the answer to its dot."""
        if self.idle:
            self.watch.restart()
            self._since = clock.monotonic()
        self.begun += 1
        return self._dialogue.begin(envelope) + self.flush()

    def content(self, content: bytes) -> list[Event]:
        """The message, as `wire.content_bytes` made it, after `ContentWanted`; not its end."""
        self._dialogue.content(content)
        self._content = len(content)
        self._since = clock.monotonic()
        return self.flush()

    def dot(self) -> list[Event]:
        """Ends the message, with the next `flush`: what follows it may go in the same packet.

        Looks first whether the server closed or spoke meanwhile.
        """
        if events := self.read():
            return events
        self._dialogue.dot()
        self._content = 0
        self._since = clock.monotonic()
        return []

    def flush(self) -> list[Event]:
        """Writes what the network takes now; nothing more once the session has ended."""
        if not self.usable:
            self._out.clear()
            return []
        self._out += self._dialogue.take()
        if not self._out:
            return []
        try:
            done = self._transport.push(self._out)
        except Lost as lost:
            unsent, self._out = lost.unsent, bytearray()
            return self._lost(lost.cause, lost.detail, unsent=unsent)
        del self._out[:done]
        return []

    def read(self) -> list[Event]:
        """What the server has said so far."""
        events: list[Event] = []
        while not events and self.usable:
            try:
                data = self._transport.glance()
            except Lost as lost:
                return self._lost(lost.cause, lost.detail)
            if not data:
                break
            events = self._dialogue.receive(data, unsent=len(self._out))
        if self._dialogue.answered != self._answered:
            self._answered, self._since = self._dialogue.answered, clock.monotonic()
        return events + self.flush()

    def expire(self) -> list[Event]:
        """The deadline has passed. An idle session is closed in good order."""
        if self.idle:
            self.close()
            return []
        return self._lost(Cause.TIMEOUT, "no answer in time")

    def close(self) -> None:
        """Says QUIT where nothing is under way, and never waits: what was accepted stays so."""
        if self.usable and self.idle:
            self._dialogue.quit()
            self.flush()
        self._dialogue.lost()
        self._transport.close()

    def _lost(self, cause: Cause, detail: str, *, unsent: int | None = None) -> list[Event]:
        left = len(self._out) if unsent is None else unsent
        self._out.clear()
        if self._content:
            sent = max(self._content - left, 0)
            detail = f"{detail}; {sent} of {self._content} bytes sent"
        else:
            detail = f"{detail}; {self._dialogue.received} bytes read"
        return self._dialogue.lost(cause, unsent=left, detail=detail)
