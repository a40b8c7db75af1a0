"""What holds of the SMTP client whatever the server says, and however its bytes arrive."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.smtp.dialogue import Dialogue
from portal.smtp.events import ContentWanted, Ended, Envelope, Event, Finished, Ready, StartTls
from portal.smtp.replies import LONGEST_LINE, LONGEST_REPLY, MOST_LINES, BadReply, ReplyReader
from portal.smtp.values import (
    Accepted,
    Authentication,
    Encryption,
    Failure,
    Outcome,
    Refused,
    Unknown,
)
from tests.portal.smtp.conversation import ANN, CONTENT, bundle
from tests.portal.smtp.drivers import LiveDriver
from tests.portal.smtp.peer import Clock, Peer, Script, Turn, lost_cause

OPEN = bundle(Encryption.NONE, Authentication.NONE)
WITH_LOGIN = bundle()
STEPS = (
    "greeting",
    "ehlo",
    "ehlo again",
    "helo",
    "starttls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "dot",
    "rset",
)
CODES = st.sampled_from([220, 235, 250, 251, 334, 354, 421, 451, 452, 500, 502, 535, 550, 552, 554])
TEXTS = st.sampled_from([b"", b"2.0.0 ok", b"5.1.1 who", b"PIPELINING", b"\xe9", b"\0", b"x" * 300])
REPLIES = st.builds(
    lambda code, texts: b"".join(
        b"%d%s%s\r\n" % (code, b"-" if more else b" ", text)
        for more, text in zip(range(len(texts) - 1, -1, -1), texts, strict=True)
    ),
    CODES,
    st.lists(TEXTS, min_size=1, max_size=4),
)
GARBAGE = st.sampled_from(
    [b"hello\r\n", b"\r\n", b"199 x\r\n", b"250-a\r\n251 b\r\n", b"x" * 5000, b"250-x\r\n" * 101]
)
TURNS = st.builds(Turn, st.one_of(REPLIES, REPLIES, REPLIES, GARBAGE), st.booleans())
ANSWERED = {
    kind: re.compile(rb"([%s]\d\d)(?:-[^\n]{0,4000}\n\1){0,98}(?: [^\n]{0,4000})?\r?\n" % kind)
    for kind in (b"2", b"45")
}


class Course:
    """A whole course of some messages against a script, read in pieces of these sizes."""

    def __init__(self, script: Script, messages: int, sizes: list[int]) -> None:
        self.dialogue = Dialogue(OPEN if messages else WITH_LOGIN, ip="192.0.2.1")
        self.events: list[Event] = []
        self.sent = b""
        self._script = script
        self._sizes = sizes
        self._left = [Envelope("a@acme.test", (f"u{n}@globex.test",)) for n in range(messages)]
        self._pipe = b""
        self._begun = 0

    def run(self) -> "Course":
        turn = 0
        while not any(isinstance(event, Ended) for event in self.events):
            self._send()
            if not self._pipe:
                cause = lost_cause(self._script)
                self._happened(self.dialogue.lost(cause) if cause else self.dialogue.lost())
                break
            size = self._sizes[turn % len(self._sizes)] if self._sizes else len(self._pipe)
            turn += 1
            piece, self._pipe = self._pipe[:size], self._pipe[size:]
            self._happened(self.dialogue.receive(piece))
        return self

    def _send(self) -> None:
        data = self.dialogue.take()
        self.sent += data
        if not self._script.closed:
            self._pipe += self._script.hear(data)

    def _happened(self, events: list[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, StartTls):
                self.dialogue.tls_established()
            elif isinstance(event, ContentWanted) and self.dialogue.usable:
                self.dialogue.content(CONTENT)
                self._send()
                self.dialogue.dot()
                if self.dialogue.capabilities.pipelining:
                    self._begin()
            elif isinstance(event, Ready | Finished) and self.dialogue.idle:
                self._begin()

    def _begin(self) -> None:
        if self._left and self.dialogue.usable:
            self._happened(self.dialogue.begin(self._left.pop(0)))


@given(
    turns=st.dictionaries(st.sampled_from(STEPS), TURNS, max_size=3),
    pipelining=st.booleans(),
    messages=st.integers(0, 3),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
@example(turns={}, pipelining=True, messages=3, sizes=[1])
@settings(max_examples=150, deadline=None)
def test_however_the_bytes_arrive_the_same_happens(turns, pipelining, messages, sizes):
    whole = Course(Script(turns, pipelining=pipelining), messages, []).run()
    split = Course(Script(turns, pipelining=pipelining), messages, sizes).run()
    assert split.events == whole.events
    assert split.sent == whole.sent


SAID = st.one_of(
    REPLIES,
    REPLIES,
    GARBAGE,
    st.binary(max_size=60),
    st.sampled_from(
        [b"250 ok\r\n", b"354 go\r\n", b"250 a\r\n250 b\r\n354 c\r\n", b"250-", b"25", b""]
    ),
)


def outcome_fits(outcome: Outcome, since_dot: bytes | None) -> bool:
    """Whether what came since the final dot went out (None: it did not) allows this outcome."""
    if isinstance(outcome, Accepted):
        return since_dot is not None and bool(ANSWERED[b"2"].match(since_dot))
    if isinstance(outcome, Unknown):
        return since_dot is not None and not any(p.match(since_dot) for p in ANSWERED.values())
    return since_dot is None or bool(ANSWERED[b"45"].match(since_dot))


@given(pipelining=st.booleans(), turns=st.lists(SAID, max_size=8))
@settings(max_examples=400, deadline=None)
def test_whatever_is_said_the_outcome_is_what_was_said_after_the_dot(pipelining, turns):
    dialogue = Dialogue(OPEN, ip="192.0.2.1")
    opened = [b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n" if pipelining else b"250 mx\r\n"]
    for turn in opened:
        dialogue.take()
        dialogue.receive(turn)
    events = dialogue.begin(ANN)
    since_dot: bytes | None = None
    is_dotted = False
    for turn in turns:
        dialogue.take()
        if is_dotted:
            since_dot = since_dot or b""
        new = dialogue.receive(turn)
        if since_dot is not None and not any(isinstance(event, Finished) for event in events):
            since_dot += turn
        events += new
        if any(isinstance(event, ContentWanted) for event in new) and dialogue.usable:
            dialogue.content(CONTENT)
            dialogue.dot()
            is_dotted = True
    if is_dotted and since_dot is None and dialogue.take():
        since_dot = b""
    events += dialogue.lost()
    (finished,) = (event for event in events if isinstance(event, Finished))
    assert outcome_fits(finished.outcomes[0], since_dot)
    assert sum(isinstance(event, Ended) for event in events) == 1
    for event in events:
        if isinstance(event, Ended) and event.failure:
            assert is_safe_to_show(event.failure)


def is_safe_to_show(failure: Failure) -> bool:
    texts = [text for text in (failure.reply, failure.detail) if text]
    return all(text.isascii() and text.isprintable() and len(text) < 600 for text in texts)


@given(
    login=st.booleans(),
    steps=st.integers(0, 5),
    unit=st.one_of(
        REPLIES, st.binary(min_size=1, max_size=30), st.sampled_from([b"250-x\r\n", b"2"])
    ),
)
@settings(max_examples=200, deadline=None)
def test_a_server_that_never_stops_talking_is_left_soon(login, steps, unit):
    script = Script({}, pipelining=True)
    dialogue = Dialogue(WITH_LOGIN if login else OPEN, ip="192.0.2.1")
    events: list[Event] = []
    for _ in range(steps):
        events = dialogue.receive(script.hear(dialogue.take()))
        follow(dialogue, events)
    received = 0
    while not any(isinstance(event, Ended) for event in events):
        dialogue.take()
        events = dialogue.receive(unit)
        received += len(unit)
        follow(dialogue, events)
        assert received <= LONGEST_REPLY + MOST_LINES * len(unit)


def follow(dialogue: Dialogue, events: list[Event]) -> None:
    for event in events:
        if isinstance(event, StartTls):
            dialogue.tls_established()
        elif isinstance(event, ContentWanted) and dialogue.usable:
            dialogue.content(CONTENT)
            dialogue.dot()
        elif isinstance(event, Ready | Finished) and dialogue.usable:
            dialogue.begin(ANN)


@given(st.lists(st.one_of(SAID, st.binary(max_size=3000)), max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_more_than_one_capped_reply_is_ever_held(chunks):
    reader = ReplyReader()
    for chunk in chunks:
        reader.feed(chunk)
        try:
            while reply := reader.next():
                assert 200 <= reply.code <= 599
                assert len(reply.lines) <= MOST_LINES
                assert all(len(line) <= 500 for line in reply.lines)
        except BadReply:
            return
        assert reader.pending <= LONGEST_REPLY + LONGEST_LINE


ACTS = st.one_of(
    st.tuples(st.just("hear"), st.integers(1, 60_000)),
    st.tuples(st.just("say"), SAID),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("read"), st.none()),
)


@given(
    lines=st.integers(0, 400),
    before=st.lists(ACTS, max_size=6),
    after=st.none() | st.lists(ACTS, max_size=8),
    ends=st.sampled_from(["closes", "is silent"]),
)
@example(lines=1, before=[], after=[("flush", None)], ends="is silent")
@example(lines=1, before=[], after=[("flush", None), ("say", b"250 ok\r\n")], ends="closes")
@settings(max_examples=120, deadline=None)
def test_what_a_server_received_is_never_called_refused_without_its_word(
    lines, before, after, ends
):
    peer = Peer(Script({}, pipelining=True), Clock())
    driver = LiveDriver(Dialogue(OPEN, ip="192.0.2.1"), peer)
    session, content = driver.session, (b"x" * 998 + b"\r\n") * lines + b"end\r\n"
    events = session.begin(ANN)
    peer.act()
    events += session.read() + session.content(content)
    heard, said = b"", b""
    for act, value in [*before, *(() if after is None else (("dot", None), *after))]:
        if act == "hear":
            heard += peer.hear(value)
        elif act == "say":
            peer.say(Turn(value))
            said += value
        elif session.usable:
            events += getattr(session, act)()
    heard += peer.hear(1 << 22)
    if ends == "closes":
        peer.say(Turn(closes=True))
    if not session.idle:
        events += session.read() if ends == "closes" else session.expire()
    session.close()
    peer.close()
    (finished,) = (event for event in events if isinstance(event, Finished))
    outcome, arrived = finished.outcomes[0], b"\r\n.\r\n" in heard
    if isinstance(outcome, Accepted):
        assert arrived
        assert re.search(rb"^2\d\d", said, re.MULTILINE)
    elif isinstance(outcome, Refused) and arrived:
        assert re.search(rb"^[45]\d\d", said, re.MULTILINE)
