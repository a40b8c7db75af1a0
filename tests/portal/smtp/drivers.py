"""The three ways to drive a dialogue, each against a `Script`: bytes alone, the blocking session,
and the session of the selector loop."""

from dataclasses import dataclass

from portal import clock
from portal.smtp.blocking import Limits, Session
from portal.smtp.dialogue import Dialogue
from portal.smtp.driving import exchange
from portal.smtp.events import ContentWanted, Ended, Event, Finished, Ready, StartTls
from portal.smtp.live import LiveSession
from portal.smtp.observing import Stopwatch
from portal.smtp.opening import Opened
from portal.smtp.values import Failure, Outcome, SessionFailed
from tests.portal.smtp.conversation import ANN, CONTENT
from tests.portal.smtp.peer import HeardTransport, Peer, Script, lost_cause

MESSAGE = b"a: b\r\n\r\nhi\r\n"


@dataclass(frozen=True)
class Told:
    """What a transaction came to. `outcome` is None where the blocking session raises: nothing
    was handed over, which the others say by `untouched`."""

    outcome: Outcome | None
    usable: bool
    untouched: bool


def open_purely(dialogue: Dialogue, script: Script) -> Failure | None:
    """Until the session is ready, or why it is not."""
    while True:
        events = _pure_turn(dialogue, script)
        if found := _opened(dialogue, events):
            return None if isinstance(found, Ready) else found.failure


class PureDriver:
    """No socket at all."""

    def __init__(self, dialogue: Dialogue, peer: Peer) -> None:
        assert open_purely(dialogue, peer.script) is None
        self._dialogue = dialogue
        self._script = peer.script

    def send(self) -> Told:
        return send_purely(self._dialogue, self._script)

    def close(self) -> None:
        self._dialogue.lost()


def send_purely(dialogue: Dialogue, script: Script) -> Told:
    events: list[Event] = dialogue.begin(ANN)
    while True:
        for event in events:
            if isinstance(event, Finished):
                return Told(event.outcomes[0], dialogue.usable, event.untouched)
        if any(isinstance(event, ContentWanted) for event in events) and dialogue.usable:
            dialogue.content(CONTENT)
            if events := _pure_turn(dialogue, script, may_wait=True):
                continue
            dialogue.dot()
        events = _pure_turn(dialogue, script)


def open_blocking(dialogue: Dialogue, peer: Peer) -> Failure | HeardTransport:
    transport = HeardTransport(peer)
    while True:
        deadline = clock.monotonic() + 60
        if found := _opened(dialogue, exchange(dialogue, transport, 30, deadline)):
            failure = found.failure if isinstance(found, Ended) else None
            return failure or transport


class BlockingDriver:
    """The session of the staged test."""

    def __init__(self, dialogue: Dialogue, peer: Peer) -> None:
        opened = _session_of(dialogue, open_blocking(dialogue, peer))
        self.session = Session(opened, Limits(30, 600, 16384), None)
        self._peer = peer

    def send(self) -> Told:
        act = self._peer.act
        try:
            outcome = self.session.send(ANN.mail_from, ANN.recipients[0], MESSAGE, before_dot=act)
        except SessionFailed:
            return Told(None, self.session.usable, untouched=True)
        return Told(outcome, self.session.usable, untouched=False)

    def close(self) -> None:
        self.session.close()


class LiveDriver:
    """The session of the selector loop, driven as the loop does it."""

    def __init__(self, dialogue: Dialogue, peer: Peer) -> None:
        opened = _session_of(dialogue, open_blocking(dialogue, peer))
        self.session = LiveSession(opened, reply_timeout=30)
        self._peer = peer

    def send(self) -> Told:
        events = self.session.begin(ANN)
        while True:
            for event in events:
                if isinstance(event, Finished):
                    return Told(event.outcomes[0], self.session.usable, event.untouched)
            if any(isinstance(event, ContentWanted) for event in events) and self.session.usable:
                if events := self.session.content(CONTENT) or self._turn(may_wait=True):
                    continue
                if events := self.session.dot():
                    continue
                events = self.session.flush()
            events = events or self._turn()

    def close(self) -> None:
        self.session.close()

    def _turn(self, *, may_wait: bool = False) -> list[Event]:
        acted = self._peer.act()
        if acted or not self._peer.script.silent:
            events = self.session.flush() + self.session.read()
            if events or acted or may_wait:
                return events
        assert clock.monotonic() < self.session.deadline
        self._peer.stopped.jump()
        assert clock.monotonic() > self.session.deadline
        return self.session.expire()


def _session_of(dialogue: Dialogue, transport: Failure | HeardTransport) -> Opened:
    assert isinstance(transport, HeardTransport), transport
    return Opened(dialogue, transport, "192.0.2.1", None, Stopwatch(None))


def _pure_turn(dialogue: Dialogue, script: Script, *, may_wait: bool = False) -> list[Event]:
    said = script.hear(dialogue.take())
    events = dialogue.receive(said) if said else []
    cause = lost_cause(script)
    if cause and not any(isinstance(event, Ended | Finished) for event in events):
        events += dialogue.lost(cause)
    assert events or said or may_wait, "both sides wait for each other"
    return events


def _opened(dialogue: Dialogue, events: list[Event]) -> Ready | Ended | None:
    if ended := next((event for event in events if isinstance(event, Ended)), None):
        return ended
    if any(isinstance(event, StartTls) for event in events):
        dialogue.tls_established()
    return next((event for event in events if isinstance(event, Ready)), None)
