"""Those who hand in mail say in one sentence why they cannot go on."""

import pytest

from tests.chaos import handing_in
from tests.chaos.handing_in import BrokeOff, HandingIn
from tests.chaos.processes import context

WITHOUT_A_WORD = "the process that hands in mail ended without a word"


def ask_and_wait(hands: HandingIn) -> None:
    hands.ask(1)
    hands.wait()


def test_an_error_over_there_is_told_over_here() -> None:
    settings = {"PORTAL_LOG_FORMAT": "loud"}
    ended = "handing in mail ended: ConfigError: PORTAL_LOG_FORMAT"
    with (
        handing_in.running(settings, [], api=None, seed=1) as hands,
        pytest.raises(BrokeOff, match=ended),
    ):
        ask_and_wait(hands)


def test_what_was_said_last_is_told_where_nobody_listens_any_more() -> None:
    ours, theirs = context.Pipe()
    theirs.send("it is full")
    theirs.close()
    with pytest.raises(BrokeOff, match="it is full"):
        HandingIn(ours).ask(1)


def test_an_end_without_a_word_is_told_too() -> None:
    ours, theirs = context.Pipe()
    theirs.close()
    with pytest.raises(BrokeOff, match=WITHOUT_A_WORD):
        HandingIn(ours).ask(1)
