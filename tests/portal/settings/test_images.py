"""What may be a logo is told by its content, and read to its end."""

import random
import struct

import pytest

from portal.settings import images
from portal.settings.images import Format, Image
from portal.validation import Invalid
from tests.images import JPEG, LOGO, chunk, png

SVG = (
    b'<?xml version="1.0"?>\n<!-- ' + b"x" * 500 + b'-->\n<svg xmlns="http://www.w3.org/2000/svg">'
)
# Adam7 with 16 x 16 pixels of one bit: lines of each pass with their filter.
ADAM7 = b"".join(b"\0" * (1 + width) * count for count, width in [
    (2, 1), (2, 1), (2, 1), (4, 1), (4, 1), (8, 1), (8, 2),
])  # fmt: skip


def refusal(content: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        images.checked("logo", content)
    (error,) = refused.value.errors
    assert error.field == "logo"
    return error.message


@pytest.mark.parametrize(
    ("content", "kind", "size"),
    [
        (LOGO, Format.PNG, (48, 24)),
        (JPEG, Format.JPEG, (48, 24)),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc1"), Format.JPEG, (48, 24)),
        (png(16, 16, depth=1, colour=0, lines=b"\0\0\0" * 16), Format.PNG, (16, 16)),
        (png(16, 16, depth=1, colour=0, interlace=1, lines=ADAM7), Format.PNG, (16, 16)),
        (png(16, 16, depth=16, colour=6, lines=(b"\4" + b"\0" * 128) * 16), Format.PNG, (16, 16)),
        (
            png(16, 16, colour=3, lines=b"\0" * 17 * 16, before=chunk(b"PLTE", b"\0\0\0")),
            Format.PNG,
            (16, 16),
        ),
        (png(before=chunk(b"tEXt", b"Comment\0kept")), Format.PNG, (48, 24)),
    ],
)
def test_sound_images_are_known_by_their_content(
    content: bytes, kind: Format, size: tuple[int, int]
) -> None:
    found = images.checked("logo", content)
    assert (found.format, (found.width, found.height)) == (kind, size)
    assert Image.named(found.name) == found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (SVG, "SVG is refused: it can hold scripts"),
        (b"\xef\xbb\xbf<SVG>", "SVG is refused"),
        (b"GIF89a" + bytes(100), "neither a PNG nor a JPEG"),
        (b"<html>", "neither a PNG nor a JPEG"),
        (LOGO + bytes(images.LARGEST), "larger than 200 KB"),
        (png(15, 24), "15 x 24 pixels. Each side must have 16 to 1600"),
        (png(1601, 16), "1601 x 16"),
        (png(2**31 - 1, 2**31 - 1, lines=b""), "2147483647"),
        (png(0, 16, lines=b""), "header is wrong"),
        (png(depth=4), "header is wrong"),
        (png(interlace=2), "header is wrong"),
        (LOGO[:20], "header is missing"),
        (LOGO[:-20], "ends too early"),
        (LOGO[:-12], "a part of it is missing"),
        (LOGO + b"<script>", "after its end"),
        (LOGO[:60] + bytes([LOGO[60] ^ 1]) + LOGO[61:], "checksum"),
        (png(lines=b"\0"), "other pixels"),
        (png(lines=b"\0" * 10_000), "other pixels"),
        (png(lines=(b"\5" + b"\0" * 144) * 24), "a line of it"),
        (png(colour=3, lines=b"\0" * 49 * 24), "palette"),
        (LOGO[:33] + chunk(b"IDAT", b"not packed") + chunk(b"IEND", b""), "unpacked"),
        (LOGO[:33] + chunk(b"IEND", b""), "a part of it is missing"),
        (JPEG[:-2], "ends too early"),
        (JPEG + b"<script>", "after its end"),
        (JPEG[:2] + JPEG[-2:], "header is missing"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), "mail programs do not show"),
        (JPEG.replace(b"\xff\xdb", b"\xff\xfe"), "a part of it is missing"),
        (JPEG.replace(b"\x00\x18\x00\x30\x03", b"\x00\x18\x00\x30\x04"), "header is wrong"),
        (JPEG.replace(b"\x00\x18\x00\x30", b"\x00\x18\x07\xd0"), "2000 x 24"),
        (JPEG[:2] + b"\xff\x01" + JPEG[2:], "not in order"),
        (JPEG[:2] + b"\xff\xe1\x00\x01" + JPEG[2:], "ends too early"),
    ],
)
def test_everything_else_is_refused_with_the_reason(content: bytes, says: str) -> None:
    assert says in refusal(content)


def test_a_jpeg_for_printing_is_refused() -> None:
    at = JPEG.index(b"\xff\xc0")
    length = int.from_bytes(JPEG[at + 2 : at + 4])
    frame = struct.pack(">HBHHB", 20, 8, 24, 48, 4) + bytes(12)
    assert "CMYK" in refusal(JPEG[: at + 2] + frame + JPEG[at + 2 + length :])


def test_damage_anywhere_is_refused_or_leaves_an_image_and_never_breaks_the_reader() -> None:
    chance = random.Random(7)
    refused = 0
    for whole in (LOGO, JPEG):
        for _ in range(400):
            content = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            try:
                images.checked("logo", bytes(content[: chance.randint(1, len(content))]))
            except Invalid:
                refused += 1
    assert refused > 700


@pytest.mark.parametrize("name", ["", "png", "gif-1x1-" + "0" * 64, "png-1x1-" + "0" * 63])
def test_a_name_of_another_form_stands_for_no_image(name: str) -> None:
    with pytest.raises(ValueError):
        Image.named(name)
