"""The building blocks of letters: the same filter names for the HTML part and the text part.

A block whose value is missing (None) is empty, so a row or button without a value is left out.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from liquid import Environment
from markupsafe import Markup, escape

from portal.letters import failure_words, liquid, words
from portal.letters.frame import piece, tone_words
from portal.letters.words import LINK_REMOVED, MARKS, Language, Tone


@cache
def html_environment(language: Language) -> Environment:
    """Liquid for HTML parts: data is escaped, blocks come from the frame."""
    blocks: dict[str, Callable[..., Any]] = {
        "post": _html_post,
        "paragraphs": lambda value: _html_paragraphs("paragraph", value),
        "note": lambda value: _html_paragraphs("note", value),
        "reason": lambda value: _html_paragraphs("reason", value),
        "fact": _html_fact,
        "facts": _html_facts,
        "button": lambda url, label: _html_button("button", url, label),
        "quiet_button": lambda url, label: _html_button("quiet", url, label),
        "buttons": _html_buttons,
    }
    return liquid.environment(escaping=True, filters=blocks | _words(language))


@cache
def text_environment(language: Language) -> Environment:
    """Liquid for subjects and text parts: nothing is escaped, blocks are lines."""
    colon = words.colon(language)
    blocks: dict[str, Callable[..., Any]] = {
        "indented": _indented,
        "fact": lambda value, label, url=None: _text_fact(f"{label}{colon}", value, url),
        "link": lambda url, label: f"{label}{colon.rstrip()}\n{url}\n" if url else "",
    }
    return liquid.environment(escaping=False, filters=blocks | _words(language))


def is_link(value: object) -> bool:
    """Whether the value may stand in href: only http and https leave a letter."""
    return isinstance(value, str) and re.match(r"https?://[^\s/]", value) is not None


def _words(language: Language) -> dict[str, Callable[..., Any]]:
    return {
        "severity_word": lambda value: words.severity(str(value or ""), language).word,
        "severity_line": lambda value: words.severity(str(value or ""), language).line,
        "severity_tone": lambda value: words.severity(str(value or ""), language).tone.value,
        "name": lambda value: words.name(str(value), language) if value else value,
        "cause_reason": lambda cause, other: failure_words.reason(cause, other, language),
        "cause_cure": lambda cause, other: failure_words.cure(cause, other, language),
        # What is no number stays as it is: some mail that waits was stored with words.
        "mails": lambda value: words.mails(value, language) if isinstance(value, int) else value,
        "lasted": lambda value: words.lasted(value, language) if isinstance(value, int) else value,
    }


def _html_post(title: object, line: object, tone: str = Tone.CALM) -> Markup:
    tone = Tone(tone)
    return piece(
        "post", title=_shown(title), line=_shown(line), mark=MARKS[tone], **tone_words(tone)
    )


def _html_paragraphs(kind: str, value: object) -> Markup:
    blocks = re.split(r"\n\s*\n", str(escape(value)).strip()) if value else []
    return Markup("\n").join(piece(kind, words=_with_breaks(block)) for block in blocks)


def _html_fact(value: object, label: object, url: object = None) -> Markup:
    if value is None:
        return Markup()
    shown = _with_breaks(str(escape(value)))
    if is_link(url):
        shown = piece("link", url=str(url), label=shown)
    return piece("rule") + piece("fact", label=_shown(label), value=shown)


def _html_facts(rows: object) -> Markup:
    # Rules stand between the rows: the first row has none.
    inside = escape(rows).strip().removeprefix(piece("rule"))
    return piece("facts", rule="", fact=Markup(inside)) if inside else Markup()  # noqa: S704


def _html_button(kind: str, url: object, label: object) -> Markup:
    if url == LINK_REMOVED:
        return piece("removed", label=Markup("{}<br>{}").format(label, LINK_REMOVED))
    return piece(kind, url=str(url), label=_shown(label)) if is_link(url) else Markup()


def _html_buttons(buttons: object) -> Markup:
    inside = escape(buttons).strip()
    return piece("buttons", button=inside, quiet="", removed="") if inside else Markup()


def _with_breaks(escaped: str) -> Markup:
    return Markup(escaped.replace("\n", "<br>\n"))  # noqa: S704 - escaped by every caller


def _shown(value: object) -> str:
    return escape("" if value is None else value)


def _indented(value: object) -> str:
    """Somebody's own words, set in by two spaces: they cannot pass for lines of the letter."""
    return "\n".join(f"  {line}".rstrip() for line in str(value or "").split("\n"))


def _text_fact(label: str, value: object, url: object) -> str:
    if value is None:
        return ""
    first, *more = str(value).split("\n")
    lines = [f"{label}{first}", *(f"  {line}" for line in more)]
    return "\n".join([*lines, f"  {url}"] if is_link(url) else lines) + "\n"
