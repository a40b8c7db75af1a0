"""SMTP replies out of bytes (RFC 5321, 4.2): capped, strict, and safe to show."""

import re
from dataclasses import dataclass

LONGEST_LINE = 4096
LONGEST_REPLY = 65536
MOST_LINES = 100
LONGEST_SHOWN = 500

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?= |$)")
_UNCLEAN = re.compile(rb"[^\t\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply. `lines` are without the code, with every byte that is not plain ASCII
    written as `\\xNN`; `clean` is False where there was such a byte."""

    code: int
    lines: tuple[str, ...]
    clean: bool = True

    @property
    def ok(self) -> bool:
        return 200 <= self.code <= 299

    @property
    def enhanced_code(self) -> str | None:
        """RFC 3463; None unless its class agrees with the code."""
        found = _ENHANCED.match(self.lines[0])
        return found[0] if found and found[1] == str(self.code)[0] else None

    @property
    def text(self) -> str:
        """All lines as one, the enhanced code once."""
        if len(self.lines) == 1:
            return self.lines[0]
        enhanced = self.enhanced_code or ""
        rest = (line.removeprefix(enhanced).strip() for line in self.lines[1:])
        return " ".join((self.lines[0], *rest)).strip()


class BadReply(Exception):
    """The peer does not speak SMTP here. `shown` holds the escaped bytes."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        super().__init__(shown)


class ReplyTooLong(BadReply):
    """The peer sends more than any honest reply needs."""


class ReplyReader:
    """Collects bytes, split anywhere, into replies; never holds more than one capped reply."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = b""
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished reply, or of a next one, are held."""
        return len(self._buffer) + self._size

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def clear(self) -> None:
        self._buffer.clear()
        self._forget()

    def next(self) -> Reply | None:
        """The next whole reply, or None until more bytes come. Raises BadReply, ReplyTooLong."""
        while (line := self._line()) is not None:
            found = _LINE.fullmatch(line)
            if not found or (self._code and found[1] != self._code):
                raise BadReply(escaped(line))
            self._code = found[1]
            self._lines.append(found[3] or b"")
            if found[2] != b"-":
                return self._finish()
            if len(self._lines) >= MOST_LINES:
                raise ReplyTooLong(f"more than {MOST_LINES} lines")
        return None

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        length = len(self._buffer) if end < 0 else end + 1
        if length > LONGEST_LINE:
            raise ReplyTooLong(f"a line of more than {LONGEST_LINE} bytes")
        if end < 0:
            return None
        self._size += length
        if self._size > LONGEST_REPLY:
            raise ReplyTooLong(f"more than {LONGEST_REPLY} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[:length]
        return line.removesuffix(b"\r")

    def _finish(self) -> Reply:
        texts = [text for line in self._lines if (text := _clean(line)) is not None]
        clean = len(texts) == len(self._lines)
        lines = map(_shown, texts) if clean else map(escaped, self._lines)
        reply = Reply(int(self._code), tuple(lines), clean)
        self._forget()
        return reply

    def _forget(self) -> None:
        self._code = b""
        self._lines = []
        self._size = 0


def escaped(data: bytes) -> str:
    """Text of at most 500 characters with no control character and nothing but ASCII."""
    text = _clean(data)
    if text is None:
        text = _UNCLEAN.sub(lambda found: b"\\x%02x" % found[0][0], data).decode("ascii")
    return _shown(text)


def _shown(text: str) -> str:
    return text[:LONGEST_SHOWN].replace("\t", " ").strip()


def _clean(data: bytes) -> str | None:
    """As text; None where a byte is not plain ASCII."""
    if not data.isascii():
        return None
    text = data.decode("ascii")
    return text if text.isprintable() or not _UNCLEAN.search(data) else None
