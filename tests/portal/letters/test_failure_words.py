"""Letters in Chinese say why a sender fails and what helps, in Chinese."""

import re

import pytest

from portal.kinds import BY_KEY
from portal.letters import words
from portal.letters.compose import compose
from portal.letters.words import Language
from portal.smtp.causes import Cause
from tests.portal.letters.samples import DATA, GLOBEX

FAILING = "mail.sender_failing"


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_a_reason_and_a_cure_in_chinese(cause: Cause) -> None:
    data = DATA[FAILING] | {"cause": cause.value, "reason": "English.", "cure": "English."}
    text = compose(BY_KEY[FAILING], data, identity=GLOBEX, language="zh").text
    _, reason, cure, *_ = text.split("\n\n")
    assert re.search("[\u4e00-\u9fff]", reason) and re.search("[\u4e00-\u9fff]", cure)
    assert "English" not in text


def test_without_a_cause_the_stored_words_stand() -> None:
    data = DATA[FAILING] | {"cause": None}
    text = compose(BY_KEY[FAILING], data, identity=GLOBEX, language="zh").text
    assert DATA[FAILING]["reason"] in text


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [(1, "1 mail", "1 封"), (1200, "1,200 mails", "1,200 封"),
     (10_001, "more than 10,000 mails", "超过 10,000 封")],
)  # fmt: skip
def test_mails_are_counted_in_words(number: int, english: str, chinese: str) -> None:
    assert (words.mails(number, "en"), words.mails(number, "zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("seconds", "language", "said"),
    [(0, "en", "0 s"), (59, "zh", "59 秒"), (3661, "en", "1 h 1 min"), (86_430, "en", "1 d"),
     (190_000, "zh", "2 天 4 小时")],
)  # fmt: skip
def test_how_long_it_lasted(seconds: int, language: Language, said: str) -> None:
    assert words.lasted(seconds, language) == said
