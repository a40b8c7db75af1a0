"""Sessions that block: for the staged test, and wherever one message is sent at a time.

The worker's loop drives the same dialogue without blocking.
"""

from collections.abc import Callable
from dataclasses import dataclass

from portal import clock
from portal.destinations import Guard
from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.driving import exchange
from portal.smtp.events import ContentWanted, Envelope, Event, Finished
from portal.smtp.observing import Observer, Stopwatch
from portal.smtp.opening import Opened, Opening
from portal.smtp.transport import Lost
from portal.smtp.trust import Tls
from portal.smtp.values import Accepted, Bundle, Failure, Outcome, Phase, Refused, SessionFailed
from portal.smtp.wire import content_bytes

DOT_TIMEOUT = 600.0
SLOWEST_RATE = 16384
_QUIT_TIMEOUT = 2.0


def open_session(
    bundle: Bundle,
    *,
    guard: Guard,
    observer: Observer | None = None,
    dot_timeout: float = DOT_TIMEOUT,
    slowest_rate: float = SLOWEST_RATE,
    rotated: Callable[[str], None] | None = None,
) -> "Session":
    """Opens a session, ready to send. Raises SessionFailed.

    Each address that the guard checked is tried within `connect_timeout`; each reply has
    `command_timeout`, the whole opening twice that. `dot_timeout` is the wait in seconds for the
    reply to the final dot; content has `command_timeout` and what it needs at `slowest_rate`
    (bytes a second). An OAuth2 bundle's access token is had before the connection (see
    `portal.smtp.oauth2.access_token`, also for `rotated`).
    """
    limits = Limits(bundle.command_timeout, dot_timeout, slowest_rate)
    return Session(Opening(bundle, guard, observer, rotated).run(), limits, observer)


@dataclass(frozen=True)
class Limits:
    """How long a session waits, in seconds: `reply` for each, `dot` for the last; and the
    bytes a second below which content counts as stuck."""

    reply: float
    dot: float
    slowest_rate: float


class Session:
    """An open session; not thread-safe. After any fault `usable` is False: open another."""

    def __init__(self, opened: Opened, limits: Limits, observer: Observer | None) -> None:
        self.ip = opened.ip
        self.tls: Tls | None = opened.tls
        self._dialogue = opened.dialogue
        self._transport = opened.transport
        self._limits = limits
        self._watch = Stopwatch(observer)
        self._used = False

    @property
    def capabilities(self) -> Capabilities:
        return self._dialogue.capabilities

    @property
    def usable(self) -> bool:
        """The server has neither closed nor said anything that it was not asked."""
        if self._dialogue.usable:
            self._glance()
        return self._dialogue.usable

    def send(
        self,
        mail_from: str,
        recipient: str,
        content: bytes,
        *,
        before_dot: Callable[[], None] | None = None,
    ) -> Outcome:
        """Hands one message over for one recipient.

        `before_dot` is called right before the final dot; where it raises, the connection is
        dropped, nothing has been sent, and the exception passes on. Raises SessionFailed where a
        session that was used before turns out dead: nothing was handed over, open another.
        """
        return self.send_to(mail_from, (recipient,), content, before_dot=before_dot)[0]

    def send_to(
        self,
        mail_from: str,
        recipients: tuple[str, ...],
        content: bytes,
        *,
        before_dot: Callable[[], None] | None = None,
    ) -> tuple[Outcome, ...]:
        """The same for several recipients: one outcome for each, in their order.

        Those for whom the server has no room in a transaction (452 after others were taken,
        RFC 5321, 4.5.3.1.10) go in the next one; where that finds the session dead, their 452
        stands, and SessionFailed is not raised: the others' mail was handed over.
        """
        outcomes: dict[str, Outcome] = {}
        left = tuple(dict.fromkeys(recipients))
        while left:
            envelope = _envelope(mail_from, left, content)
            try:
                found = self._transact(envelope, content, before_dot)
            except SessionFailed:
                if not outcomes:
                    raise
                break
            results = dict(zip(left, found, strict=True))
            outcomes |= results
            waiting = tuple(r for r, outcome in results.items() if _is_for_later(outcome))
            left = waiting if len(waiting) < len(left) and self._dialogue.usable else ()
        return tuple(outcomes[recipient] for recipient in recipients)

    def probe(self, mail_from: str, recipient: str) -> Outcome:
        """MAIL, RCPT and RSET, no content. Accepted: the server would take mail for it."""
        return self._transact(Envelope(mail_from, (recipient,), probe=True), b"", None)[0]

    def close(self) -> None:
        """Says QUIT if it still can, and never raises: what was accepted stays accepted."""
        if self._dialogue.usable and self._dialogue.idle:
            self._dialogue.quit()
            patience = min(_QUIT_TIMEOUT, self._limits.reply)
            exchange(self._dialogue, self._transport, patience, clock.monotonic() + patience)
        self._drop()

    def _transact(
        self, envelope: Envelope, content: bytes, before_dot: Callable[[], None] | None
    ) -> tuple[Outcome, ...]:
        if not self.usable:
            self._drop()
            raise SessionFailed(self._dead())
        self._watch.restart()
        events = self._dialogue.begin(envelope)
        deadline = clock.monotonic() + 2 * self._limits.reply
        while True:
            finished, wanted = _read(events)
            if finished:
                return self._finish(finished)
            if wanted:
                events = self._give(content_bytes(content), before_dot)
            else:
                events = exchange(self._dialogue, self._transport, self._limits.reply, deadline)

    def _give(self, content: bytes, before_dot: Callable[[], None] | None) -> list[Event]:
        self._dialogue.content(content)
        patience = self._limits.reply + len(content) / self._limits.slowest_rate
        try:
            self._transport.write(self._dialogue.take(), clock.monotonic() + patience)
        except Lost as lost:
            sent = len(content) - lost.unsent
            detail = f"{lost.detail}; {sent} of {len(content)} bytes sent"
            return self._dialogue.lost(lost.cause, unsent=lost.unsent, detail=detail)
        if before_dot:
            self._ask(before_dot)
        if events := self._glance():
            return events
        self._dialogue.dot()
        deadline = clock.monotonic() + self._limits.dot
        return exchange(self._dialogue, self._transport, self._limits.dot, deadline)

    def _glance(self) -> list[Event]:
        """What the server did unasked: it closed, or spoke. Nothing, where all is well."""
        try:
            data = self._transport.glance()
        except Lost as lost:
            return self._dialogue.lost(lost.cause, detail=lost.detail)
        return self._dialogue.receive(data) if data else []

    def _ask(self, before_dot: Callable[[], None]) -> None:
        try:
            before_dot()
        except BaseException:
            self._dialogue.lost(detail="dropped before the final dot")
            self._drop()
            raise

    def _finish(self, finished: Finished) -> tuple[Outcome, ...]:
        used, self._used = self._used, True
        refusals = [o.failure for o in finished.outcomes if isinstance(o, Refused)]
        if finished.untouched and used:
            self._drop()
            raise SessionFailed(refusals[0])
        for outcome in finished.outcomes:
            if not isinstance(outcome, Accepted):
                self._watch.failed(outcome.failure)
        if not self._dialogue.usable:
            self._drop()
        return finished.outcomes

    def _dead(self) -> Failure:
        detail = "the session is over"
        return Failure(Phase.MAIL, Cause.CONNECTION_LOST, ip=self.ip, detail=detail)

    def _drop(self) -> None:
        self._dialogue.lost()
        self._transport.close()


def _envelope(mail_from: str, recipients: tuple[str, ...], content: bytes) -> Envelope:
    return Envelope(mail_from, recipients, len(content), not content.isascii())


def _is_for_later(outcome: Outcome) -> bool:
    failure = outcome.failure if isinstance(outcome, Refused) else None
    return failure is not None and failure.phase is Phase.RCPT and failure.code == 452


def _read(events: list[Event]) -> tuple[Finished | None, bool]:
    finished = next((event for event in events if isinstance(event, Finished)), None)
    return finished, any(isinstance(event, ContentWanted) for event in events)
