"""The dialogue by table: every class of reply in every phase, without a socket."""

import pytest

from portal.smtp.causes import Cause
from portal.smtp.events import Ended, Ready
from portal.smtp.values import Accepted, Phase, Refused, Unknown
from tests.portal.smtp.conversation import (
    ANN,
    CONTENT,
    DATA,
    EHLO,
    MAIL,
    PLAIN_EHLO,
    RCPT,
    Conversation,
)

OPENING = {
    Phase.GREETING: (),
    Phase.EHLO: (b"220 mx\r\n",),
    Phase.STARTTLS: (b"220 mx\r\n", EHLO),
    Phase.AUTH: (b"220 mx\r\n", EHLO, b"220 go\r\n", EHLO),
}
P = Phase
C = Cause
OPENING_CASES = [
    (P.GREETING, b"120 soon\r\n", C.PROTOCOL_ERROR),
    (P.GREETING, b"250 hi\r\n", C.PROTOCOL_ERROR),
    (P.GREETING, b"354 hi\r\n", C.PROTOCOL_ERROR),
    (P.GREETING, b"421 no\r\n", C.BUSY),
    (P.GREETING, b"451 no\r\n", C.BUSY),
    (P.GREETING, b"554 no\r\n", C.GREETING_REFUSED),
    (P.EHLO, b"334 no\r\n", C.PROTOCOL_ERROR),
    (P.EHLO, b"421 no\r\n", C.BUSY),
    (P.EHLO, b"451 no\r\n", C.BUSY),
    (P.EHLO, b"501 no\r\n", C.EHLO_REFUSED),
    (P.EHLO, b"250-a\r\n251 b\r\n", C.PROTOCOL_ERROR),
    (P.EHLO, b"250-a\r\nb\r\n", C.PROTOCOL_ERROR),
    (P.EHLO, b"250_a\r\n", C.PROTOCOL_ERROR),
    (P.STARTTLS, b"250 what\r\n", C.PROTOCOL_ERROR),
    (P.STARTTLS, b"334 what\r\n", C.PROTOCOL_ERROR),
    (P.STARTTLS, b"421 no\r\n", C.STARTTLS_REFUSED),
    (P.STARTTLS, b"454 no\r\n", C.STARTTLS_REFUSED),
    (P.STARTTLS, b"502 no\r\n", C.STARTTLS_REFUSED),
    (P.AUTH, b"334 \r\n", C.PROTOCOL_ERROR),
    (P.AUTH, b"421 no\r\n", C.AUTH_TEMPORARY),
    (P.AUTH, b"454 no\r\n", C.AUTH_TEMPORARY),
    (P.AUTH, b"504 no\r\n", C.AUTH_UNSUPPORTED),
    (P.AUTH, b"530 Must issue a STARTTLS command first\r\n", C.ENCRYPTION_REQUIRED),
    (P.AUTH, b"535 no\r\n", C.AUTH_REFUSED),
]
for phase in OPENING:
    OPENING_CASES += [
        (phase, b"hello\r\n", C.PROTOCOL_ERROR),
        (phase, b"\r\n", C.PROTOCOL_ERROR),
        (phase, b"22\r\n", C.PROTOCOL_ERROR),
        (phase, b"999 x\r\n", C.PROTOCOL_ERROR),
        (phase, b"2500 x\r\n", C.PROTOCOL_ERROR),
        (phase, b"220 \xff\r\n", C.PROTOCOL_ERROR),
        (phase, b"250 \x00\r\n", C.PROTOCOL_ERROR),
        (phase, b"\x16\x03\x01\x02\x00\x01\n", C.PROTOCOL_ERROR),
        (phase, b"x" * 4097, C.REPLY_TOO_LONG),
        (phase, b"250-x\r\n" * 100, C.REPLY_TOO_LONG),
        (phase, (b"250-" + b"x" * 4000 + b"\r\n") * 17, C.REPLY_TOO_LONG),
    ]


@pytest.mark.parametrize(("phase", "answer", "cause"), OPENING_CASES)
def test_each_answer_while_opening_has_its_cause(phase, answer, cause):
    talk = Conversation(login=True)
    talk.turns(*OPENING[phase])
    (ended,) = talk.turn(answer)
    assert isinstance(ended, Ended)
    assert ended.failure
    assert (ended.failure.phase, ended.failure.cause) == (phase, cause)
    assert not talk.dialogue.usable
    assert talk.dialogue.receive(b"250 more\r\n") == []


@pytest.mark.parametrize("phase", OPENING)
@pytest.mark.parametrize("cause", [Cause.CONNECTION_LOST, Cause.TIMEOUT])
def test_a_loss_while_opening_has_its_phase(phase, cause):
    talk = Conversation(login=True)
    talk.turns(*OPENING[phase])
    talk.dialogue.take()
    (ended,) = talk.dialogue.lost(cause)
    assert isinstance(ended, Ended)
    assert ended.failure
    expected = Cause.NO_GREETING if phase is Phase.GREETING else cause
    assert (ended.failure.phase, ended.failure.cause) == (phase, expected)


def test_the_largest_honest_reply_is_read():
    line = b"250-" + b"x" * 600 + b"\r\n"
    talk = Conversation(ehlo=line * 99 + b"250 PIPELINING\r\n")
    assert isinstance(talk.events[-1], Ready)
    assert talk.dialogue.capabilities.pipelining


def test_bare_line_feeds_and_empty_texts_are_read():
    talk = Conversation(ehlo=b"250-\n250-SIZE\n250-SIZE abc\n250\n")
    assert talk.dialogue.usable
    assert talk.dialogue.capabilities.size is None


BEFORE = {
    Phase.MAIL: (),
    Phase.RCPT: (MAIL,),
    Phase.DATA: (MAIL, RCPT),
    Phase.DOT: (MAIL, RCPT, DATA),
}
# What one reply in a phase makes of the transaction, and whether the session lives on.
CASES = [
    (P.MAIL, b"354 x\r\n", Refused, C.PROTOCOL_ERROR, None),
    (P.MAIL, b"421 x\r\n", Refused, C.BUSY, False),
    (P.MAIL, b"451 x\r\n", Refused, C.SENDER_TEMPORARY, True),
    (P.MAIL, b"550 5.4.5 daily\r\n", Refused, C.QUOTA, True),
    (P.MAIL, b"552 big\r\n", Refused, C.SIZE_EXCEEDED, True),
    (P.MAIL, b"553 no\r\n", Refused, C.SENDER_REFUSED, True),
    (P.MAIL, b"550 5.6.7 utf8\r\n", Refused, C.UTF8_NEEDED, True),
    (P.MAIL, b"530 5.7.0 Must issue a STARTTLS first\r\n", Refused, C.ENCRYPTION_REQUIRED, True),
    (P.RCPT, b"421 x\r\n", Refused, C.BUSY, False),
    (P.RCPT, b"452 4.2.2 full\r\n", Refused, C.RECIPIENT_TEMPORARY, True),
    (P.RCPT, b"550 5.1.1 x\r\n", Refused, C.RECIPIENT_REFUSED, True),
    (P.RCPT, b"552 5.2.2 mailbox full\r\n", Refused, C.RECIPIENT_REFUSED, True),
    (P.RCPT, b"550 5.7.64 TenantAttribution\r\n", Refused, C.RELAY_DENIED, True),
    (P.DATA, b"250 x\r\n", Refused, C.PROTOCOL_ERROR, False),
    (P.DATA, b"334 x\r\n", Refused, C.PROTOCOL_ERROR, False),
    (P.DATA, b"421 x\r\n", Refused, C.BUSY, False),
    (P.DATA, b"451 x\r\n", Refused, C.CONTENT_TEMPORARY, True),
    (P.DATA, b"554 x\r\n", Refused, C.CONTENT_REFUSED, True),
    (P.DOT, b"250 q\r\n", Accepted, None, True),
    (P.DOT, b"251 q\r\n", Accepted, None, True),
    (P.DOT, b"250-q\r\n250 r\r\n", Accepted, None, True),
    (P.DOT, b"250 \xe9\r\n", Accepted, None, False),
    (P.DOT, b"354 x\r\n", Unknown, C.PROTOCOL_ERROR, False),
    (P.DOT, b"what\r\n", Unknown, C.PROTOCOL_ERROR, False),
    (P.DOT, b"x" * 5000, Unknown, C.REPLY_TOO_LONG, False),
    (P.DOT, b"421 x\r\n", Refused, C.BUSY, False),
    (P.DOT, b"451 x\r\n", Refused, C.CONTENT_TEMPORARY, True),
    (P.DOT, b"554 x\r\n", Refused, C.CONTENT_REFUSED, True),
    (P.DOT, b"557 x\r\n", Refused, C.SIZE_EXCEEDED, True),
    (P.DOT, b"552 Monthly sending quota exceeded\r\n", Refused, C.QUOTA, True),
    (P.DOT, b"451 \x00\r\n", Refused, C.PROTOCOL_ERROR, False),
]
for phase in (P.MAIL, P.RCPT, P.DATA):
    CASES += [
        (phase, b"what\r\n", Refused, C.PROTOCOL_ERROR, False),
        (phase, b"250 \x00\r\n", Refused, C.PROTOCOL_ERROR, False),
        (phase, b"550 \xff\r\n", Refused, C.PROTOCOL_ERROR, False),
        (phase, b"250-x\r\n" * 101, Refused, C.REPLY_TOO_LONG, False),
    ]


@pytest.mark.parametrize("ehlo", [EHLO, PLAIN_EHLO])
@pytest.mark.parametrize(("phase", "answer", "kind", "cause", "usable"), CASES)
def test_each_answer_in_a_transaction_has_its_outcome(ehlo, phase, answer, kind, cause, usable):
    talk = Conversation(ehlo=ehlo)
    talk.begin(ANN)
    talk.turns(*BEFORE[phase])
    if phase is Phase.DOT:
        talk.give_content()
    talk.turn(answer)
    if not talk.finished:  # what was pipelined behind a refusal is still to be answered
        talk.turns(*(b"503 no\r\n" for _ in range(2 if phase is Phase.MAIL else 1)))
    (finished,) = talk.finished
    (outcome,) = finished.outcomes
    assert type(outcome) is kind
    if cause:
        assert (outcome.failure.phase, outcome.failure.cause) == (phase, cause)
    if usable is not None:
        assert talk.dialogue.usable is usable


@pytest.mark.parametrize("ehlo", [EHLO, PLAIN_EHLO])
@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize("cause", [Cause.CONNECTION_LOST, Cause.TIMEOUT])
def test_a_loss_in_a_transaction_has_its_outcome(ehlo, phase, cause):
    talk = Conversation(ehlo=ehlo)
    talk.begin(ANN)
    talk.turns(*BEFORE[phase])
    if phase is Phase.DOT:
        talk.give_content()
    talk.dialogue.take()
    talk.events += talk.dialogue.lost(cause)
    (finished,) = talk.finished
    (outcome,) = finished.outcomes
    assert finished.untouched is (phase is Phase.MAIL)
    after = {
        Cause.CONNECTION_LOST: Cause.LOST_AFTER_DOT,
        Cause.TIMEOUT: Cause.TIMEOUT_AFTER_DOT,
    }
    expected = (Unknown, after[cause]) if phase is Phase.DOT else (Refused, cause)
    assert (type(outcome), outcome.failure.cause) == expected
    assert outcome.failure.phase is phase


@pytest.mark.parametrize(
    ("unsent", "kind"), [(0, Unknown), (2, Unknown), (3, Refused), (50, Refused)]
)
def test_only_a_dot_that_left_makes_an_outcome_unknown(unsent, kind):
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA)
    talk.give_content()
    assert talk.dialogue.take().endswith(b"\r\n.\r\n")
    talk.events += talk.dialogue.lost(unsent=unsent)
    assert type(talk.finished[0].outcomes[0]) is kind


def test_a_dot_that_was_never_taken_is_not_unknown():
    talk = Conversation()
    talk.begin(ANN)
    talk.turn(MAIL + RCPT + DATA)
    talk.dialogue.content(CONTENT)
    talk.dialogue.take()
    talk.dialogue.dot()
    talk.events += talk.dialogue.lost()
    (outcome,) = talk.finished[0].outcomes
    assert isinstance(outcome, Refused)
    assert outcome.failure.phase is Phase.BODY
