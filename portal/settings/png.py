"""PNG images, read strictly (PNG specification, third edition): every checksum and every line."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bits of a sample that each colour type allows, and how many samples a pixel has.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
# Adam7: first column and line of each pass, and the steps between them.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_LAST_FILTER = 4


class Damaged(ValueError):
    """The file is not what its first bytes say; the text says why."""


def size(content: bytes) -> tuple[int, int]:
    """Width and height as the header says. Raises Damaged."""
    header = _header(content)
    return header.width, header.height


def check(content: bytes) -> None:
    """Raises Damaged unless the whole file is a PNG that can be shown, and nothing stands after it.

    Takes as much memory as its pixels: look at `size` before.
    """
    header = _header(content)
    kinds, pixels = [], []
    for kind, data in _chunks(content):
        kinds.append(kind)
        if kind == b"IDAT":
            pixels.append(data)
    if kinds[-1] != b"IEND" or kinds.count(b"IHDR") != 1 or not pixels:
        raise Damaged("a part of it is missing")
    if header.colour == _PALETTE and b"PLTE" not in kinds[: kinds.index(b"IDAT")]:
        raise Damaged("its palette is missing")
    _check_lines(header, b"".join(pixels))


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    def passes(self) -> Iterator[tuple[int, int]]:
        """Lines of each pass, and the bytes of a line without its filter."""
        bits = self.depth * _SAMPLES[self.colour]
        steps = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        for column, line, across, down in steps:
            columns = -(-max(0, self.width - column) // across)
            if columns:
                yield -(-max(0, self.height - line) // down), -(-columns * bits // 8)


def _header(content: bytes) -> _Header:
    if len(content) < 33 or content[8:16] != b"\0\0\0\rIHDR":
        raise Damaged("its header is missing")
    width, height, depth, colour, packing, filters, interlace = struct.unpack(
        ">IIBBBBB", content[16:29]
    )
    known = depth in _DEPTHS.get(colour, ()) and not packing and not filters and interlace < 2
    if not (known and width and height):
        raise Damaged("its header is wrong")
    return _Header(width, height, depth, colour, bool(interlace))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        end = at + 12 + length
        if end > len(content):
            raise Damaged("it ends too early")
        kind, data = content[at + 4 : at + 8], content[at + 8 : end - 4]
        if zlib.crc32(kind + data) != int.from_bytes(content[end - 4 : end]):
            raise Damaged("a checksum is wrong")
        yield kind, data
        at = end
        if kind == b"IEND" and at != len(content):
            raise Damaged("something stands after its end")


def _check_lines(header: _Header, packed: bytes) -> None:
    passes = list(header.passes())
    wanted = sum(lines * (1 + length) for lines, length in passes)
    unpacker = zlib.decompressobj()
    try:
        lines = unpacker.decompress(packed, wanted + 1)
    except zlib.error:
        raise Damaged("its pixels cannot be unpacked") from None
    if len(lines) != wanted:
        raise Damaged("it has other pixels than its header says")
    at = 0
    for count, length in passes:
        if count and max(lines[at : at + count * (1 + length) : 1 + length]) > _LAST_FILTER:
            raise Damaged("a line of it cannot be read")
        at += count * (1 + length)
