"""The session of the selector loop where the network is slow, or the server speaks too early."""

import pytest

from portal.smtp.causes import Cause
from portal.smtp.dialogue import Dialogue
from portal.smtp.events import ContentWanted, Ended, Finished
from portal.smtp.live import DOT_TIMEOUT, SLOWEST_RATE, LiveSession
from portal.smtp.values import Accepted, Authentication, Encryption, Phase, Refused, Unknown
from tests.portal.smtp.conversation import ANN, BOB, CONTENT, bundle
from tests.portal.smtp.drivers import LiveDriver
from tests.portal.smtp.peer import Peer, Script, Turn, still

__all__ = ["still"]
BIG = b"x" * 998 + b"\r\n"
BIG *= 2000


@pytest.fixture
def peer(still):
    made = Peer(Script({}, pipelining=True), still)
    yield made
    made.close()


def wanting(peer: Peer) -> LiveSession:
    """A session whose server has said 354."""
    open_ = bundle(Encryption.NONE, Authentication.NONE)
    session = LiveDriver(Dialogue(open_, ip="192.0.2.1"), peer).session
    assert session.begin(ANN) == []
    peer.act()
    (wanted,) = session.read()
    assert isinstance(wanted, ContentWanted)
    return session


def test_nothing_leaves_once_the_message_is_refused(peer):
    session = wanting(peer)
    assert session.content(CONTENT) == []
    peer.act()
    assert session.dot() == []
    peer.say(Turn(b"250 thanks\r\n"))
    finished, ended = session.read()
    assert isinstance(finished.outcomes[0], Refused)
    assert isinstance(ended, Ended)
    assert session.flush() == []
    assert not session.unsent
    session.close()
    peer.act()
    assert "dot" not in peer.script.heard


def test_what_the_network_had_not_taken_never_leaves_after_the_end(peer):
    session = wanting(peer)
    assert session.content(BIG) == []
    assert session.unsent
    peer.say(Turn(b"451 4.3.0 no more\r\n"))
    finished, _ = session.read()
    assert finished.outcomes[0].failure.phase is Phase.BODY
    assert not session.unsent


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"250 2.0.0 queued\r\n", Cause.PROTOCOL_ERROR),
        (b"554 5.7.1 no\r\n", Cause.PROTOCOL_ERROR),
        (b"421 4.3.2 closing\r\n", Cause.BUSY),
        (b"hello\r\n", Cause.PROTOCOL_ERROR),
    ],
)
def test_a_dot_that_has_not_left_is_not_answered(peer, answer, cause):
    session = wanting(peer)
    assert session.content(BIG) + session.dot() + session.flush() == []
    assert session.unsent
    peer.say(Turn(answer))
    finished, _ = session.read()
    (outcome,) = finished.outcomes
    assert isinstance(outcome, Refused)
    assert (outcome.failure.phase, outcome.failure.cause) == (Phase.BODY, cause)


def test_a_dot_that_has_not_left_is_not_unknown(peer):
    session = wanting(peer)
    session.content(BIG)
    session.dot()
    session.flush()
    finished, _ = session.expire()
    assert isinstance(finished.outcomes[0], Refused)
    assert finished.outcomes[0].failure.phase is Phase.BODY


def test_content_has_the_time_that_it_needs(peer, still):
    session = wanting(peer)
    session.content(BIG)
    assert session.deadline == still.now + 30 + len(BIG) / SLOWEST_RATE
    while session.unsent:
        peer.act()
        session.flush()
    peer.act()
    still.now += 5
    session.dot()
    session.flush()
    assert session.deadline == still.now + DOT_TIMEOUT
    peer.act()
    (finished,) = session.read()
    assert isinstance(finished.outcomes[0], Accepted)
    assert session.deadline == still.now + 10


def test_bytes_that_drip_move_no_deadline(peer, still):
    session = wanting(peer)
    session.content(CONTENT)
    session.dot()
    session.flush()
    due = session.deadline
    for byte in b"250-slow":
        still.now += 1
        peer.say(Turn(bytes([byte])))
        assert session.read() == []
        assert session.deadline == due
    finished, _ = session.expire()
    assert isinstance(finished.outcomes[0], Unknown)
    assert finished.outcomes[0].failure.cause == Cause.TIMEOUT_AFTER_DOT


@pytest.mark.parametrize(
    ("turn", "kind", "again"),
    [
        (Turn(b"250 2.0.0 q1\r\n"), Accepted, False),
        (Turn(b"554 5.7.1 no\r\n"), Refused, False),
        (Turn(b"421 4.3.2 closing\r\n"), Refused, True),
        (Turn(closes=True), Unknown, True),
        (Turn(b"what\r\n"), Unknown, True),
        (Turn(b"250 \xe9\r\n"), Accepted, True),
    ],
)
def test_what_follows_in_the_same_packet_is_untouched_where_the_session_ends(
    still, turn, kind, again
):
    peer = Peer(Script({"dot": turn}, pipelining=True), still)
    session = wanting(peer)
    session.content(CONTENT)
    peer.act()
    assert session.dot() + session.begin(BOB) == []
    peer.act()
    events = session.read()
    ann = next(event for event in events if isinstance(event, Finished))
    assert ann.envelope is ANN
    assert type(ann.outcomes[0]) is kind
    if again:
        bob = next(e for e in events if isinstance(e, Finished) and e.envelope is BOB)
        assert isinstance(bob.outcomes[0], Refused)
        assert bob.untouched
    else:
        assert isinstance(events[-1], ContentWanted)
        assert events[-1].envelope is BOB
    session.close()
    peer.close()
