"""What a value typed by someone must look like, said in words that name the field and the cure.

Pages, API and files share these rules, so that none of them accepts what another refuses.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

# email-validator refuses single-label and reserved domains (.local, .localhost), which company
# relays use. Under this suffix it judges their spelling alone.
_SUFFIX = ".test"

_LONGEST_LOCAL = 64

# Hangul fillers and the empty Braille cell.
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"

# Readers of mail decode such a word (RFC 2047), and what it hides may be a line break.
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?", re.IGNORECASE)


@dataclass(frozen=True)
class FieldError:
    """One refused value: the field by its contract name, and a sentence that holds the cure."""

    field: str
    message: str


class Invalid(ValueError):
    """Input that was refused as a whole; nothing has been changed."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in self.errors))

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls([FieldError(field, message)])


class Stale(Exception):
    """Somebody else changed the thing since it was read; nothing has been overwritten."""


def one_line(field: str, value: str, *, longest: int) -> str:
    """The value, trimmed, as a single line without control or direction characters; empty where
    nothing of it can be seen.

    Raises Invalid: a line break here could become a header of its own in a mail (RFC 5322, 2.2).
    """
    text = value.strip()
    if hidden := next((c for c in text if _is_hidden(c)), None):
        raise Invalid.field(
            field, f"Remove the line break or control character (U+{ord(hidden):04X})."
        )
    if _ENCODED_WORD.search(text):
        raise Invalid.field(field, "Write the words as they are, without =?...?= around them.")
    if len(text) > longest:
        raise Invalid.field(
            field, f"Shorten this to {longest} characters or fewer; it has {len(text)}."
        )
    return text if any(map(_is_seen, text)) else ""


def display_name(field: str, value: str, *, longest: int = 200) -> str:
    """A name for people beside an address. Raises Invalid where it could be read as an address."""
    text = one_line(field, value, longest=longest)
    # Full-width and small forms look alike to people.
    if set("@<>") & set(unicodedata.normalize("NFKC", text)):
        raise Invalid.field(
            field, "Leave out @, < and >: a display name must not look like an address."
        )
    return text


def email_address(field: str, value: str) -> str:
    """The address in its normal form, the domain in lower case. Raises Invalid.

    Accepts .test, .local, .localhost and single-label domains: internal relays use them.
    """
    text = one_line(field, value, longest=254)
    if not text or "=?" in text:  # readers of mail decode such a word (RFC 2047), line breaks too
        raise Invalid.field(field, "Enter an email address, for example ann@example.com.")
    try:
        parsed = validate_email(
            text + _SUFFIX, check_deliverability=False, test_environment=True, allow_smtputf8=True
        )
    except EmailNotValidError as problem:
        raise Invalid.field(
            field,
            f"Enter an email address, for example ann@example.com. {_sentence(str(problem))}",
        ) from None
    address = parsed.normalized.removesuffix(_SUFFIX)
    _check_local_part(field, address)
    return address


def address_key(address: str) -> str:
    """What tells whether two addresses are the same one: the only folding of addresses.

    Lower case, as accounts hold them, and not `casefold`: `straße@` and `strasse@` are two
    mailboxes.
    """
    return address.strip().lower()


def web_link(field: str, value: str) -> str:
    """An absolute http or https link. Raises Invalid for every other scheme."""
    text = one_line(field, value, longest=2000)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", text):
        raise Invalid.field(field, "Enter a link that starts with https:// or http://.")
    return text


def slug(field: str, value: str) -> str:
    """A short name for URLs: lower-case letters, digits and hyphens. Raises Invalid."""
    text = value.strip()
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", text):
        raise Invalid.field(
            field,
            "Use 1 to 63 lower-case letters, digits and hyphens, for example acme-europe.",
        )
    return text


def plain_text(field: str, value: str, *, longest: int) -> str:
    """Text that may have line breaks, as LF, without other control characters."""
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if hidden := next((c for c in text if c not in "\n\t" and _is_hidden(c)), None):
        raise Invalid.field(field, f"Remove the control character (U+{ord(hidden):04X}).")
    if len(text) > longest:
        raise Invalid.field(
            field, f"Shorten this to {longest} characters or fewer; it has {len(text)}."
        )
    return text


def _is_hidden(character: str) -> bool:
    # Cc: controls; Zl, Zp: Unicode line breaks; Cs: lone surrogates; Cf that turns text around.
    category = unicodedata.category(character)
    return category in ("Cc", "Zl", "Zp", "Cs") or character in (
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def _is_seen(character: str) -> bool:
    # Cf: soft hyphen, zero-width space and the like; fillers count as letters, but show nothing.
    category = unicodedata.category(character)
    return category not in ("Cf", "Zs", "Mn", "Me") and character not in _FILLERS


def _check_local_part(field: str, address: str) -> None:
    """RFC 5321, 4.5.3.1.1, in octets, as RFC 6531 counts them for addresses beyond ASCII."""
    octets = len(address.rpartition("@")[0].encode())
    if octets > _LONGEST_LOCAL:
        raise Invalid.field(
            field,
            f"Use an address with at most {_LONGEST_LOCAL} bytes before the @; this one has "
            f"{octets}. Letters beyond ASCII count as 2 to 4 bytes.",
        )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith(".") else text + "."
