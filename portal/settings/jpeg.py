"""JPEG images, walked from marker to marker (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

from portal.settings.png import Damaged

SIGNATURE = b"\xff\xd8\xff"
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive: what mail programs show
_OTHER_FRAMES = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES, _CODES, _SCAN, _END = 0xDB, 0xC4, 0xDA, 0xD9
_APPLICATION_AND_REST = {*range(0xE0, 0xF0), 0xFE, 0xDD, _TABLES, _CODES, _SCAN}
# Within coded data FF is followed by 00, or by the number of a restart.
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def size(content: bytes) -> tuple[int, int]:
    """Width and height of the one frame. Raises Damaged."""
    found = []
    for marker, data in _segments(content):
        if marker in _OTHER_FRAMES:
            raise Damaged("it is of a kind that mail programs do not show; save it as a usual JPEG")
        if marker in _FRAMES:
            found.append(data)
    if len(found) != 1 or len(found[0]) < 9:
        raise Damaged("its header is missing")
    return _frame(found[0])


def check(content: bytes) -> None:
    """Raises Damaged unless tables, frame and coded data follow each other up to the end of the
    file. The coded data itself is not unpacked."""
    seen: set[int] = set()
    for marker, _data in _segments(content):
        if marker == _SCAN and not ({_TABLES, _CODES} <= seen and seen & _FRAMES):
            raise Damaged("a part of it is missing")
        seen.add(marker)
    if _SCAN not in seen:
        raise Damaged("a part of it is missing")
    size(content)


def _frame(data: bytes) -> tuple[int, int]:
    precision, components = data[0], data[5]
    height, width = int.from_bytes(data[1:3]), int.from_bytes(data[3:5])
    if precision != 8 or not width or not height or len(data) != 6 + 3 * components:
        raise Damaged("its header is wrong")
    if components not in (1, 3):
        raise Damaged("its colours are for printing (CMYK); save it in RGB")
    return width, height


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and data of each segment, up to the end of the image."""
    at = 2
    while True:
        while content[at : at + 2] == b"\xff\xff":
            at += 1
        if content[at : at + 1] != b"\xff" or at + 2 > len(content):
            raise Damaged("it ends too early or is not in order")
        marker = content[at + 1]
        if marker == _END:
            break
        if marker not in _APPLICATION_AND_REST | _FRAMES | _OTHER_FRAMES:
            raise Damaged("it ends too early or is not in order")
        length = int.from_bytes(content[at + 2 : at + 4])
        data = content[at + 4 : at + 2 + length]
        if length < 2 or len(data) != length - 2:
            raise Damaged("it ends too early")
        yield marker, data
        at += 2 + length
        if marker == _SCAN:
            at = _end_of_scan(content, at)
    if at + 2 != len(content):
        raise Damaged("something stands after its end")


def _end_of_scan(content: bytes, at: int) -> int:
    found = _MARKER_IN_SCAN.search(content, at)
    if found is None or found.start() == at:
        raise Damaged("it ends too early")
    return found.start()
