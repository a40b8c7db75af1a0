"""What mail settings must look like. Pure: raw values in, checked values or Invalid out."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from portal.settings.contrast import READABLE, contrast
from portal.settings.models import Mode
from portal.validation import FieldError, Invalid, display_name, email_address, one_line, plain_text

LANGUAGES = ("en", "zh")
IDENTITY_KEYS = (
    *("title_prefix", "display_name", "reply_to", "language", "footer", "accent_color"),
    "retention_days",
)
# The logo is a file and has a capability of its own, portal.settings.logos.
INHERITED_KEYS = (*IDENTITY_KEYS, "logo")
HOST_KEYS = ("enabled", *IDENTITY_KEYS, "default_sender", "daily_cap")
ORGANIZATION_KEYS = (
    "mode",
    *IDENTITY_KEYS,
    "default_sender",
    "fallback",
    "daily_cap",
    "own_senders_allowed",
    "fallback_allowed",
)
HOST_LOCKS = ("daily_cap", "own_senders_allowed", "fallback_allowed")


def parse(raw: Mapping[str, Any], *, at_host: bool, by_host: bool) -> dict[str, Any]:
    """Check the given keys; None means inherited. Raises Invalid with every wrong key at once."""
    known = HOST_KEYS if at_host else ORGANIZATION_KEYS
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for key, value in raw.items():
        try:
            if key not in known:
                raise Invalid.field(
                    key, f"There is no such mail setting. Known: {', '.join(known)}."
                )
            if key in HOST_LOCKS and not at_host and not by_host:
                raise Invalid.field(key, "Only a system administrator may change this.")
            values[key] = _PARSERS[key](key, value)
        except Invalid as problem:
            errors.extend(problem.errors)
    if errors:
        raise Invalid(errors)
    return values


def _text_or_none(check: Callable[[str, str], str]) -> Callable[[str, Any], str | None]:
    def parse_text(key: str, raw: Any) -> str | None:
        if raw is None:
            return None
        if not isinstance(raw, str):
            raise Invalid.field(key, "Give this as text.")
        return check(key, raw) or None if raw.strip() else None

    return parse_text


def _switch(key: str, raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise Invalid.field(key, "Give true or false.")
    return raw


def _mode(key: str, raw: Any) -> Mode:
    # YAML reads an unquoted `off` as false.
    try:
        return Mode.OFF if raw is False else Mode(raw)
    except ValueError:
        raise Invalid.field(key, "Choose one of inherit, own, off.") from None


def _language(key: str, raw: Any) -> str | None:
    if raw in (None, ""):
        return None
    if raw not in LANGUAGES:
        raise Invalid.field(key, f"Choose one of {', '.join(LANGUAGES)}.")
    return str(raw)


def _whole(lowest: int, highest: int) -> Callable[[str, Any], int | None]:
    def parse_whole(key: str, raw: Any) -> int | None:
        if raw in (None, ""):
            return None
        text = str(raw).strip()
        sound = not isinstance(raw, bool) and re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)
        if not sound or not lowest <= int(text) <= highest:
            raise Invalid.field(key, f"Enter a whole number from {lowest} to {highest}.")
        return int(text)

    return parse_whole


def _colour(key: str, raw: str) -> str:
    """A colour that white words can be read on."""
    colour = raw.strip().lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        raise Invalid.field(key, "Enter a colour as # and six hex digits, for example #0b5a6b.")
    found = contrast(colour, _WHITE)
    if found < READABLE:
        raise Invalid.field(
            key,
            f"White words on {colour} are hard to read: the contrast is {found:.1f} to 1, and "
            f"{READABLE} to 1 is needed. Choose a darker colour.",
        )
    return colour


_WHITE = "#ffffff"
_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "enabled": _switch,
    "mode": _mode,
    "title_prefix": _text_or_none(lambda key, raw: one_line(key, raw, longest=60)),
    "display_name": _text_or_none(display_name),
    "reply_to": _text_or_none(email_address),
    "language": _language,
    "footer": _text_or_none(lambda key, raw: plain_text(key, raw, longest=2000)),
    "accent_color": _text_or_none(_colour),
    "retention_days": _whole(1, 3650),
    "default_sender": _text_or_none(lambda key, raw: one_line(key, raw, longest=100)),
    "fallback": _switch,
    "daily_cap": _whole(0, 100_000_000),
    "own_senders_allowed": _switch,
    "fallback_allowed": _switch,
}
