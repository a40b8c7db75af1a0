"""The frame around every HTML letter and the pieces in it, compiled once per process from MJML.

The compiled text holds tokens (a name between two control characters) where the letter's own words
and colours go. Data and identity never hold control characters, so nobody can write a token.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

import css_inline
import mjml
from markupsafe import Markup, escape

from portal import resources
from portal.letters.colours import Palette

_PIECE = re.compile(r"<!--piece (\w+)-->((?:(?!<!--piece ).)*?)<!--/piece-->", re.DOTALL)
_TOKEN = re.compile("\x02(\\w+)\x03")
_TONES = {"bad": "#a5261c", "wait": "#764a00", "ok": "#1d6a3a", "calm": "\x02link\x03"}
_COLOURS = {
    "#fa0001": "fill",
    "#fa0002": "on_fill",
    "#fa0003": "link",
    "#fa0004": "night_fill",
    "#fa0005": "night_on_fill",
    "#fa0006": "tone_colour",
}


# Text and names of tokens in turn: text, token, text, ..., text.
_Parts = tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """The letter around its body, and the pieces of a body by name."""

    whole: _Parts
    pieces: Mapping[str, _Parts]


@cache
def compiled() -> Frame:
    """The frame from templates/mail/frame.mjml and frame.css; costs milliseconds, once."""
    folder = resources.folder("templates") / "mail"
    source = (folder / "frame.mjml").read_text(encoding="utf-8")
    css = (folder / "frame.css").read_text(encoding="utf-8")
    html = mjml.mjml2html(source, fonts={})
    inliner = css_inline.CSSInliner(
        inline_style_tags=False, keep_style_tags=True, extra_css=css, load_remote_stylesheets=False
    )
    whole, pieces = _cut(_with_tokens(inliner.inline(html)))
    parts = {name: _split(text) for name, text in pieces.items()}
    return Frame(_split(whole), MappingProxyType(parts))


def piece(name: str, /, **words: str) -> Markup:
    """A piece of a body with these words; those that are not Markup are escaped."""
    return Markup(_filled(compiled().pieces[name], words))  # noqa: S704 - escaped word by word


def tone_words(tone: str) -> dict[str, str]:
    """The words of a piece that a tone decides."""
    return {"tone": tone, "tone_colour": Markup(_TONES[tone])}  # noqa: S704 - our own constant


def framed(*, palette: Palette, body: Markup, below: Markup, **words: str) -> str:
    """The finished HTML letter: the frame with its words, then every colour in place."""
    inside = {"body": _coloured(body, palette), "below": _coloured(below, palette)}
    return _filled(_painted(palette), words | inside)


@lru_cache(maxsize=64)
def _painted(palette: Palette) -> _Parts:
    return _split(_filled(compiled().whole, vars(palette)))


def _coloured(html: Markup, palette: Palette) -> Markup:
    return Markup(_filled(_split(html), vars(palette)))  # noqa: S704 - adds our own colours


def _split(html: str) -> _Parts:
    return tuple(_TOKEN.split(html))


def _filled(parts: _Parts, words: Mapping[str, str]) -> str:
    return "".join(_each(parts, words))


def _each(parts: _Parts, words: Mapping[str, str]) -> Iterator[str]:
    yield parts[0]
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        yield escape(words[name]) if name in words else f"\x02{name}\x03"
        yield text


def _with_tokens(html: str) -> str:
    text = re.sub(r"\[\[(\w+)\]\]", "\x02\\1\x03", html)
    for colour, name in _COLOURS.items():
        text = text.replace(colour, f"\x02{name}\x03")
    return text


def _cut(html: str) -> tuple[str, dict[str, str]]:
    """The frame and its pieces; where a piece stood, its own token stands."""
    pieces: dict[str, str] = {}
    while found := _PIECE.search(html):
        name, inside = found.groups()
        pieces[name] = _short_lines(inside)
        html = html[: found.start()] + f"\x02{name}\x03" + html[found.end() :]
    return _short_lines(html), pieces


def _short_lines(html: str) -> str:
    # MJML writes lines of thousands of characters; RFC 5322 allows 998.
    return re.sub(r">(?=<(?:table|tr|td|th|tbody|div|h1|a|p|style|meta|!--\[))", ">\n", html)
