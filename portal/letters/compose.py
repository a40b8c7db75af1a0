"""From a kind, stored data and an identity to a letter. Pure: no database, no request, no queue.

Variables of every letter, beside those that its kind declares: see COMMON. A kind's own variable
of the same name goes before.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate
from markupsafe import Markup, escape

from portal.kinds import Kind
from portal.letters import filters, liquid, logo, shipped, words
from portal.letters.colours import PETROL, palette
from portal.letters.data import masked, one_line, prepared, several_lines
from portal.letters.frame import framed, piece
from portal.letters.liquid import BrokenLetter
from portal.letters.shipped import Source
from portal.letters.words import Language
from portal.settings.images import Image

__all__ = ["COMMON", "BrokenLetter", "Identity", "Letter", "compose", "digest", "masked"]

COMMON = ("platform_name", "display_name", "organization_name", "base_url")
_BELOW = "<!-- below the card -->"
_LONGEST_SUBJECT = 200
_LONGEST_PREVIEW = 140


@dataclass(frozen=True, kw_only=True)
class Identity:
    """As whom a letter is written. `accent` is #rrggbb; `organization_name` None: host mail.

    With a `logo` the HTML names that image by its Content-ID: the mail has to carry it.
    """

    platform_name: str
    display_name: str
    title_prefix: str
    footer: str
    base_url: str
    accent: str = PETROL
    logo: Image | None = None
    organization_name: str | None = None


@dataclass(frozen=True)
class Letter:
    """A finished letter. `subject` is one line; `text` and `html` have LF line ends."""

    subject: str
    text: str
    html: str
    language: Language


def compose(
    kind: Kind,
    data: Mapping[str, Any],
    *,
    identity: Identity,
    language: Language,
    timezone: str = "UTC",
) -> Letter:
    """The shipped letter of this kind with this data, in this language, as this identity.

    Raises BrokenLetter, which says what is wrong and where, when data or letter cannot be used.
    """
    values = prepared(kind, data, language=language, timezone=timezone)
    variables = _common(identity) | values
    templates = _templates(shipped.source(kind, language))
    subject = _subject(liquid.render(templates.subject, variables), identity)
    text = liquid.render(templates.text, variables)
    body = liquid.render(templates.html, variables)
    preview = one_line(str(values.get("text") or ""), longest=_LONGEST_PREVIEW)
    return Letter(
        subject=subject,
        text=_text(text, identity, language),
        html=_html(body, identity, language, subject=subject, preview=preview),
        language=language,
    )


def digest(letter: Letter) -> str:
    """A sha256 (hex) over subject and text; take it of the letter composed from masked data."""
    return hashlib.sha256(f"{letter.subject}\0{letter.text}".encode()).hexdigest()


@dataclass(frozen=True)
class _Templates:
    subject: BoundTemplate
    text: BoundTemplate
    html: BoundTemplate


@lru_cache(maxsize=512)
def _templates(source: Source) -> _Templates:
    plain = filters.text_environment(source.language)
    rich = filters.html_environment(source.language)
    name = f"{source.name}/{source.language}"
    return _Templates(
        subject=liquid.parse(source.subject, where=f"{name}.subject.liquid", using=plain),
        text=liquid.parse(source.text, where=f"{name}.text.liquid", using=plain),
        html=liquid.parse(source.html, where=f"{name}.html.liquid", using=rich),
    )


def _common(identity: Identity) -> dict[str, str | int | None]:
    return {
        "platform_name": one_line(identity.platform_name),
        "display_name": _sender(identity),
        "organization_name": one_line(identity.organization_name or "") or None,
        "base_url": identity.base_url if filters.is_link(identity.base_url) else None,
    }


def _sender(identity: Identity) -> str:
    shown = identity.display_name or identity.organization_name or identity.platform_name
    return one_line(shown)


def _subject(rendered: str, identity: Identity) -> str:
    return one_line(f"{identity.title_prefix} {rendered}", longest=_LONGEST_SUBJECT)


def _text(rendered: str, identity: Identity, language: Language) -> str:
    footer = several_lines(identity.footer, language=language)
    sent_by = words.sent_by(language).format(one_line(identity.platform_name))
    if filters.is_link(identity.base_url):
        sent_by = f"{sent_by}\n{identity.base_url}"
    parts = (_single_blank_lines(rendered), "-- ", *filter(None, (footer, sent_by)))
    return "\n".join(parts) + "\n"


def _single_blank_lines(text: str) -> str:
    lines: list[str] = []
    for line in (raw.rstrip() for raw in text.strip("\n").split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).rstrip() + "\n"


def _html(
    rendered: str, identity: Identity, language: Language, *, subject: str, preview: str
) -> str:
    body, _, below = rendered.partition(_BELOW)
    footer = several_lines(identity.footer, language=language)
    lines = (Markup(below.strip()), _note(footer), _sent_by(identity, language))  # noqa: S704
    return framed(
        palette=palette(identity.accent),
        lang=words.HTML_LANGUAGE[language],
        subject=subject,
        preview=preview,
        head=_head(identity),
        body=Markup(body.strip()),  # noqa: S704 - rendered with escaping
        below=Markup("\n").join(line for line in lines if line),
    )


def _head(identity: Identity) -> Markup:
    """The name above the letter, or the logo in its place with the name for who sees no image."""
    name = _sender(identity)
    if identity.logo is None:
        return piece("named", name=name)
    width, height = logo.shown_size(identity.logo)
    return piece(
        "logo",
        content_id=logo.content_id(identity.logo),
        name=name,
        width=str(width),
        height=str(height),
    )


def _note(footer: str) -> Markup:
    lines = Markup("<br>\n").join(footer.split("\n"))
    return piece("reason", words=lines) if footer else Markup()


def _sent_by(identity: Identity, language: Language) -> Markup:
    name = escape(one_line(identity.platform_name))
    if filters.is_link(identity.base_url):
        name = piece("link", url=identity.base_url, label=name)
    return piece("reason", words=Markup(words.sent_by(language)).format(name))  # noqa: S704
