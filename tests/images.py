"""Images for tests: a PNG of any size, written here, and one JPEG."""

import base64
import struct
import zlib


def chunk(kind: bytes, data: bytes) -> bytes:
    """One part of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int = 48,
    height: int = 24,
    *,
    depth: int = 8,
    colour: int = 2,
    interlace: int = 0,
    lines: bytes | None = None,
    before: bytes = b"",
) -> bytes:
    """A PNG image in one teal colour, in RGB unless said. `lines` are its unpacked bytes; `before`
    are chunks before the pixels."""
    if lines is None:
        lines = (b"\0" + b"\x0b\x5a\x6b" * width) * height
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", zlib.compress(lines)),
            chunk(b"IEND", b""),
        )
    )


LOGO = png()
# 48 x 24 pixels, as a browser writes it.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKra"
    "rYqMyP/L2u71////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4"
    "+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAAYADADASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAA"
    "AAQF/8QAIhAAAQMDAwUAAAAAAAAAAAAAAAQREhQiQQUVQ2OCosHh/8QAFwEBAQEBAAAAAAAAAAAAAAAAAQACA//E"
    "ABgRAQEBAQEAAAAAAAAAAAAAAAEAAhEx/9oADAMBAAIRAxEAPwDQWK6WFk5PlmJt36Hn8GscPd6Mw0By560jbiNX"
    "VTshFsu5SZuj83b7NIH23l6QABNMsSVUL4RfDuTbR1/D6APWHI1KNJSzvnJsMxSAEhyAAqv/2Q=="
)
