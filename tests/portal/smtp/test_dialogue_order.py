"""The dialogue over several turns: chains, lies, splits and junk, without a socket."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.smtp.causes import Cause
from portal.smtp.dialogue import Dialogue
from portal.smtp.events import ContentWanted, Ended, Event, Finished, Ready, StartTls
from portal.smtp.values import Accepted, Authentication, Encryption, Refused, Unknown
from portal.smtp.wire import content_bytes
from tests.portal.smtp.conversation import (
    ANN,
    BOB,
    CONTENT,
    DATA,
    DOT,
    EHLO,
    MAIL,
    PLAIN_EHLO,
    RCPT,
    Conversation,
    bundle,
)


def test_with_pipelining_a_whole_message_costs_one_round_trip():
    talk = Conversation()
    talk.begin(ANN)
    assert talk.dialogue.take().count(b"\r\n") == 3
    talk.turn(MAIL + RCPT + DATA)
    talk.give_content()
    talk.begin(BOB)
    sent = talk.dialogue.take()
    assert sent.startswith(CONTENT + b".\r\nMAIL FROM:<portal@acme.test>")
    assert sent.endswith(b"RCPT TO:<bob@globex.test>\r\nDATA\r\n")
    events = talk.turn(DOT + MAIL + RCPT + DATA)
    assert [type(event) for event in events] == [Finished, ContentWanted]
    assert events[0].envelope is ANN
    assert isinstance(events[0].outcomes[0], Accepted)
    talk.give_content()
    talk.turn(b"250 q2\r\n")
    assert [finished.envelope for finished in talk.finished] == [ANN, BOB]
    assert talk.dialogue.idle


def test_without_pipelining_one_command_goes_at_a_time():
    talk = Conversation(ehlo=PLAIN_EHLO)
    talk.begin(ANN)
    lines = []
    for answer in (MAIL, RCPT, DATA):
        lines.append(talk.dialogue.take())
        talk.events += talk.dialogue.receive(answer)
    assert [line.count(b"\r\n") for line in lines] == [1, 1, 1]
    talk.give_content()
    talk.begin(BOB)
    assert talk.dialogue.take() == CONTENT + b".\r\n"
    talk.turn(DOT)
    assert talk.dialogue.take().startswith(b"MAIL")


def test_421_in_the_middle_leaves_untouched_what_was_not_answered():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA)
    talk.give_content()
    talk.begin(BOB)
    talk.turn(b"421 4.3.2 shutting down\r\n")
    ann, bob = talk.finished
    assert (ann.envelope, ann.untouched, bob.envelope, bob.untouched) == (ANN, False, BOB, True)
    assert isinstance(ann.outcomes[0], Refused)
    assert isinstance(talk.events[-1], Ended)


def test_a_loss_after_a_chained_dot_leaves_the_next_untouched():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA)
    talk.give_content()
    talk.begin(BOB)
    talk.dialogue.take()
    talk.events += talk.dialogue.lost()
    ann, bob = talk.finished
    assert isinstance(ann.outcomes[0], Unknown)
    assert isinstance(bob.outcomes[0], Refused)
    assert bob.untouched


def test_a_refused_message_does_not_touch_the_next_in_the_chain():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA)
    talk.give_content()
    talk.begin(BOB)
    talk.turn(b"554 spam\r\n" + MAIL + RCPT + DATA)
    talk.give_content()
    talk.turn(DOT)
    ann, bob = talk.finished
    assert isinstance(ann.outcomes[0], Refused)
    assert isinstance(bob.outcomes[0], Accepted)


def test_after_a_refused_recipient_the_next_transaction_begins_with_rset():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + b"550 no\r\n554 no\r\n")
    talk.begin(BOB)
    assert talk.dialogue.take().startswith(b"RSET\r\nMAIL FROM")


@pytest.mark.parametrize(
    "lie",
    [
        (b"220 mx\r\n250 mx\r\n",),
        (b"220 mx\r\n", EHLO + b"250 m\r\n"),
        (b"220 mx\r\n", EHLO + b"2"),
    ],
)
def test_an_answer_before_its_command_ends_the_session(lie):
    talk = Conversation(login=True)
    talk.dialogue = Dialogue(bundle(Encryption.NONE, Authentication.NONE), ip="192.0.2.1")
    talk.turns(*lie)
    assert talk.ended
    assert talk.ended[0].failure.cause == Cause.PROTOCOL_ERROR


def test_an_acceptance_before_the_content_is_a_lie():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA + DOT)
    (outcome,) = talk.finished[0].outcomes
    assert isinstance(outcome, Refused)
    assert outcome.failure.cause == Cause.PROTOCOL_ERROR


def test_injected_replies_behind_starttls_are_discarded():
    talk = Conversation(login=True)
    talk.turns(b"220 mx\r\n", EHLO)
    assert [type(e) for e in talk.turn(b"220 go\r\n250-evil\r\n250 AUTH LOGIN\r\n")] == [StartTls]
    assert talk.dialogue.capabilities.auth == ()
    assert talk.dialogue.take() == b"EHLO acme.test\r\n"


def test_content_that_was_not_asked_for_is_a_mistake_of_the_caller():
    talk = Conversation()
    with pytest.raises(RuntimeError):
        talk.dialogue.content(CONTENT)
    talk.begin(ANN)
    with pytest.raises(RuntimeError):
        talk.dialogue.content(CONTENT)
    with pytest.raises(RuntimeError):
        Conversation(login=True).dialogue.begin(ANN)


def test_quit_ends_in_good_order():
    talk = Conversation()
    talk.dialogue.quit()
    assert talk.turn(b"221 bye\r\n") == [Ended(None)]


TURNS = (b"220-a\r\n220 b\r\n", EHLO, MAIL + RCPT + DATA, DOT)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(st.integers(0, 200), max_size=30))
@settings(max_examples=60, deadline=None)
def test_reads_may_be_split_anywhere(cuts):
    dialogue = Dialogue(bundle(Encryption.NONE, Authentication.NONE), ip="192.0.2.1")
    events: list[Event] = []
    for turn in TURNS:
        dialogue.take()
        for piece in pieces(turn, cuts):
            events += dialogue.receive(piece)
        if isinstance(events[-1:][0] if events else None, Ready):
            events += dialogue.begin(ANN)
        elif events and isinstance(events[-1], ContentWanted):
            dialogue.content(CONTENT)
            dialogue.dot()
    assert [type(event) for event in events] == [Ready, ContentWanted, Finished]
    assert events[-1].outcomes == (Accepted(250, "2.0.0 q1", "192.0.2.1"),)


JUNK = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                *(b"250 ok\r\n", b"250-a\r\n", b"354 go\r\n", b"421 x\r\n", b"550 5.1.1 x\r\n"),
                *(b"220 x\r\n", b"334 \r\n", b"235 x\r\n", b"\0", b"\r\n", b"\xff", b"999 x\r\n"),
            ]
        ),
        max_size=6,
    ).map(b"".join),
)


@given(st.booleans(), st.lists(JUNK, max_size=12))
@settings(max_examples=250, deadline=None)
def test_junk_never_crashes_and_each_message_gets_one_outcome(login, turns):
    talk = Conversation(login=login) if login else Conversation()
    begun = 0
    for turn in turns:
        if talk.dialogue.usable and talk.dialogue.idle:
            talk.begin(ANN)
            begun += 1
        wanted = any(isinstance(event, ContentWanted) for event in talk.turn(turn))
        if wanted and talk.dialogue.usable:
            talk.give_content()
    talk.events += talk.dialogue.lost()
    assert len(talk.finished) == begun
    assert len(talk.ended) == 1
    assert not talk.dialogue.usable


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_content_holds_no_bare_line_end_and_no_early_end(content):
    wire = content_bytes(content) + b".\r\n"
    assert b"\r\n.\r\n" not in (b"\r\n" + wire)[:-1]
    flat = wire.replace(b"\r\n", b"")
    assert b"\r" not in flat
    assert b"\n" not in flat
