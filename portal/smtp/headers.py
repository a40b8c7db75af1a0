"""Header fields as bytes that every parser reads alike (RFC 5322, RFC 2047).

The standard library's own serializer loses the quotes of long display names and lets encoded
words that hold line breaks become headers, so fields are written here.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable
from email.errors import MessageError
from email.header import decode_header

from portal.address_spelling import OddSpelling, ascii_domain


class UnsafeMessage(ValueError):
    """A mail that was not built, because a part of it could be read as something else."""

    def __init__(self, part: str, problem: str) -> None:
        self.part = part
        super().__init__(f"{part}: {problem}")


def unstructured(name: str, value: str) -> bytes:
    """A field of free text, as it is where that is safe, else as encoded words."""
    text = clean(name, value)
    if _is_plain(text):
        if len(name) + 2 + len(text) <= _WIDTH:
            return _line(name, text)
        words = text.split(" ")
        if all(0 < len(word) < _WIDTH - len(name) - 2 for word in words):
            return folded(name, words)
    return folded(name, _encoded_words(text))


def mailbox(name: str, display_name: str, address: str) -> bytes:
    """A field with one address, its display name quoted or encoded: never a second address."""
    text = clean(name, display_name)
    if len(text) > _LONGEST_NAME:
        raise UnsafeMessage(name, f"the display name is longer than {_LONGEST_NAME} characters")
    spec = addr_spec(name, address)
    if not text:
        return _line(name, spec)
    phrase = _quoted(text) if _is_plain(text) else ""
    if phrase and len(name) + len(phrase) + len(spec) + 5 <= _WIDTH:
        return _line(name, f"{phrase} <{spec}>")
    if phrase and len(phrase) <= _WIDTH - len(name) - 2:
        return folded(name, [phrase, f"<{spec}>"])
    return folded(name, [*_encoded_words(text), f"<{spec}>"])


def addr_spec(part: str, address: str) -> str:
    """The address with its domain as A-labels. Raises UnsafeMessage unless it is a dot-atom.

    A local part beyond ASCII stays as it is (RFC 6532); the server must offer SMTPUTF8.
    """
    local, _, domain = address.rpartition("@")
    if (
        "=?" in local
        or len(local.encode("utf-8", "surrogatepass")) > 64
        or len(address) > 254
        or not _DOT_ATOM.fullmatch(local)
        or not all(c.isprintable() and not c.isspace() for c in local)
    ):
        raise UnsafeMessage(part, "this is not a plain email address")
    try:
        return f"{local}@{ascii_domain(domain)}"
    except OddSpelling:
        raise UnsafeMessage(part, "the domain of the address is misspelt") from None


def folded(name: str, words: Iterable[str]) -> bytes:
    """A field with line breaks between words where a line would pass 76 columns."""
    lines = [f"{name}:"]
    for word in words:
        fits = len(lines[-1]) + 1 + len(word) <= _WIDTH
        if fits or lines == [f"{name}:"]:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    return "\r\n".join(lines).encode() + b"\r\n"


def clean(part: str, value: str) -> str:
    """The value without outer blanks. Raises UnsafeMessage for hidden characters.

    Also for encoded words that hold such characters: software that decodes twice would see them.
    """
    text = value.strip(" ")
    for _ in range(_DEEPEST):
        if hidden := next((c for c in text if is_hidden(c)), None):
            raise UnsafeMessage(part, f"it holds the hidden character U+{ord(hidden):04X}")
        decoded = _decoded(text)
        if decoded == text:
            return value.strip(" ")
        text = decoded
    raise UnsafeMessage(part, "it holds encoded words inside encoded words")


def is_hidden(character: str) -> bool:
    """Controls, Unicode line breaks, lone surrogates, and what turns the direction of text."""
    return unicodedata.category(character) in _HIDDEN or character in _DIRECTION


_WIDTH = 76  # RFC 2047, 2: the longest line that holds an encoded word
_WORD_OCTETS = 39  # 52 characters of base64 beside the 12 of the frame
_LONGEST_NAME = 450  # an organization's name, "(via ...)" and the platform's
_DEEPEST = 4
_HIDDEN = frozenset({"Cc", "Zl", "Zp", "Cs"})
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?.*?\?=", re.IGNORECASE | re.DOTALL)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=^_`{|}~-]+)*")


def _is_plain(text: str) -> bool:
    return text.isascii() and "=?" not in text


def _quoted(text: str) -> str:
    if _PLAIN_PHRASE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _encoded_words(text: str) -> list[str]:
    words: list[bytes] = [b""]
    for character in text:
        octets = character.encode()
        if len(words[-1]) + len(octets) > _WORD_OCTETS:
            words.append(b"")
        words[-1] += octets
    return [f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words]


def _decoded(text: str) -> str:
    return _ENCODED_WORD.sub(lambda match: _decoded_word(match.group()), text)


def _decoded_word(word: str) -> str:
    try:
        [(octets, charset)] = decode_header(word)
        if isinstance(octets, str):
            return octets.replace("=?", "")
        # RFC 2231, 5: a language may follow the character set.
        return octets.decode((charset or "utf-8").partition("*")[0], "replace")
    except (MessageError, LookupError, ValueError):
        return word.replace("=?", "")
