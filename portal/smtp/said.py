"""What a reply says of its own accord, without what it echoes of the mail. Pure.

Whoever sends a mail chooses its recipient and its words, and servers repeat them in their replies:
an invitation to nobody.sendasdenied@example.com must not read as a fault of the sender.
"""

import re
from collections.abc import Iterable
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header

from portal.smtp.values import Phase

_AFTER_MAIL = frozenset({Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT})
_TRANSACTION = _AFTER_MAIL | {Phase.MAIL}
# RFC 3463, 3.2 and 3.3, and RFC 7505: it is this address, whatever the words. Not 5.1.0, 5.1.7,
# 5.1.8, 5.2.0 and 5.2.252, which servers also say of the sender.
_OF_THE_RECIPIENT = re.compile(r"[45]\.(?:1\.(?:[12346]|10)|2\.[1-4])")
# What stands in brackets or quotation marks, also cut short; what a server further on said.
_ECHO = re.compile(
    r"<[^<>]*(?:>|$)"
    r'|"[^"]*(?:"|$)'
    r"|(?<!\w)'[^']*'(?!\w)"
    r"|\b(?:said|responded|replied|answered)\b.*$",
    re.DOTALL,
)
# An address or a link, the at sign also as mail servers escape it.
_ADDRESS = re.compile(r"@|[=+%]40|\\x40|&#64;|://")
_SENTENCE_ENDS = re.compile(r"[.;!?]\s")
_LONGEST = 8192


def by_itself(phase: Phase, text: str) -> str:
    """The words of a reply in lower case; from MAIL on without addresses, links and quotations."""
    text = text[:_LONGEST].lower()
    if phase not in _TRANSACTION:
        return text
    return " ".join(one for one in _ECHO.sub(" ", text).split() if not _ADDRESS.search(one))


def says(word: str, text: str, chosen: str) -> bool:
    """Whether the words stand in what a reply says by itself, and not also in what was `chosen`
    (by `chosen_words`): then it may be an echo, and nothing is concluded."""
    return word in text and not (chosen and _flat(word) in chosen)


def says_together(about: Iterable[str], words: Iterable[str], text: str, chosen: str) -> bool:
    """Whether one sentence of what a reply says by itself holds one of each, neither chosen."""
    said = [one for one in words if says(one, text, chosen)]
    whom = [one for one in about if says(one, text, chosen)]
    return bool(said and whom) and any(
        any(one in sentence for one in said) and any(one in sentence for one in whom)
        for sentence in _SENTENCE_ENDS.split(text)
    )


def is_of_the_recipient(phase: Phase, enhanced_code: str | None) -> bool:
    """Whether the enhanced code alone tells that it is about the address of the recipient."""
    return phase in _AFTER_MAIL and bool(
        enhanced_code and _OF_THE_RECIPIENT.fullmatch(enhanced_code)
    )


def chosen_words(recipients: tuple[str, ...], content: bytes = b"") -> str:
    """All that whoever sends a mail chose of it, with one space for whatever is between words."""
    return _flat(" ".join((*recipients, *_words_of(content))))


def _words_of(content: bytes) -> list[str]:
    if not content:
        return []
    message = message_from_bytes(content)
    texts = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    bodies = [part.get_payload(decode=True) for part in texts]
    return [
        *(_header(str(message[name] or "")) for name in ("subject", "from", "reply-to")),
        *(body.decode("utf-8", "replace") for body in bodies if isinstance(body, bytes)),
    ]


def _header(value: str) -> str:
    try:
        parts = [text for text, _charset in decode_header(value)]
    except HeaderParseError:
        return value
    return " ".join(
        part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in parts
    )


def _flat(text: str) -> str:
    return _BETWEEN_WORDS.sub(" ", text.lower())


_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")
