"""A notification's stored data made ready for a letter: cleaned, cut, times and links checked."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from portal.kinds import Kind
from portal.letters import words
from portal.letters.filters import is_link
from portal.letters.liquid import BrokenLetter
from portal.letters.words import LINK_REMOVED, Language

LONGEST_LINE = 300
LONGEST_TEXT = 10_000
LONGEST_LINK = 2000
_SEVERAL_LINES = ("text", "comment")
_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


def masked(kind: Kind, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as records show it: every secret that is there reads [link removed]."""
    return {
        name: LINK_REMOVED if name in kind.secrets and value is not None else value
        for name, value in data.items()
    }


def prepared(
    kind: Kind, data: Mapping[str, Any], *, language: Language, timezone: str
) -> dict[str, str | int | None]:
    """What the letter's Liquid sees: the declared variables, None where there is no value.

    Names that end in _at hold RFC 3339 times and become local text; those that end in _url keep
    http and https links alone. Raises BrokenLetter for a wrong type, a time without offset, a
    missing secret link and a missing title.
    """
    values = {
        name: _value(name, data.get(name), language=language, timezone=timezone)
        for name in kind.variables
    }
    needed = (*kind.secrets, "title") if "title" in kind.variables else kind.secrets
    for name in needed:
        if values[name] is None:
            raise BrokenLetter(name, f"{kind.name} needs a value here; it is missing or not usable")
    return values


def one_line(text: str, *, longest: int = LONGEST_LINE) -> str:
    """The text as one line without control or direction characters, cut with an ellipsis."""
    line = " ".join(_visible(_LINE_BREAK.sub("\n", text[: longest * 4])).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def several_lines(text: str, *, language: Language, longest: int = LONGEST_TEXT) -> str:
    """The text with LF line breaks, without other control characters, cut with a note."""
    kept = _visible(_LINE_BREAK.sub("\n", text[:longest])).strip("\n").expandtabs(4)
    if len(text) <= longest:
        return kept
    note = words.cut_note(shown=longest, whole=len(text), language=language)
    return f"{kept}\n\n{note}"


def _value(name: str, value: Any, *, language: Language, timezone: str) -> str | int | None:
    if value is None or isinstance(value, bool | int):
        return value
    if not isinstance(value, str):
        raise BrokenLetter(name, f"expected text, found {type(value).__name__}")
    if name.endswith("_at"):
        return _moment(name, value, language=language, timezone=timezone)
    if name.endswith("_url"):
        return _link(value)
    if name in _SEVERAL_LINES:
        return several_lines(value, language=language) or None
    return one_line(value) or None


def _moment(name: str, value: str, *, language: Language, timezone: str) -> str:
    try:
        return words.moment(value, language=language, timezone=timezone)
    except (ValueError, OverflowError) as problem:
        raise BrokenLetter(
            name, f"expected a time such as 2026-11-20T14:21:00+08:00 ({problem})"
        ) from problem


def _link(value: str) -> str | None:
    whole = len(value) <= LONGEST_LINK and value.split() == [value] and _visible(value) == value
    return value if value == LINK_REMOVED or (whole and is_link(value)) else None


def _visible(text: str) -> str:
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or not _is_hidden(c))


def _is_hidden(character: str) -> bool:
    # Controls, lone surrogates, Unicode line breaks, and format characters that turn text around.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in (
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
