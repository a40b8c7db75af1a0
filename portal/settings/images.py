"""What may be a logo: a PNG or JPEG image, told by its content and never by its name. Pure."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from portal.settings import jpeg, png
from portal.settings.png import Damaged
from portal.validation import Invalid

LARGEST = 200 * 1024
SHORTEST_SIDE, LONGEST_SIDE = 16, 1600
_CURE = "Choose a PNG or JPEG image."


class Format(StrEnum):
    PNG = "png"
    JPEG = "jpeg"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"


@dataclass(frozen=True)
class Image:
    """An image that was checked, without its bytes. Its name stands for format, size in pixels
    and content, so that equal names are equal images."""

    format: Format
    width: int
    height: int
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.format.value}-{self.width}x{self.height}-{self.sha256}"

    @classmethod
    def named(cls, name: str) -> "Image":
        """The image that a stored name stands for."""
        found = re.fullmatch(r"(png|jpeg)-(\d+)x(\d+)-([0-9a-f]{64})", name)
        if found is None:
            raise ValueError("this is not the name of an image")
        kind, width, height, sha256 = found.groups()
        return cls(Format(kind), int(width), int(height), sha256)


def checked(field: str, content: bytes) -> Image:
    """The image that these bytes are. Raises Invalid with the reason and the cure."""
    if not content:
        raise Invalid.field(field, f"The file is empty. {_CURE}")
    if len(content) > LARGEST:
        raise Invalid.field(
            field,
            f"The file is larger than {LARGEST // 1024} KB, and every letter would carry it. "
            "Make the image smaller: 480 pixels are wide enough.",
        )
    kind = _format(field, content)
    reader = png if kind is Format.PNG else jpeg
    try:
        width, height = reader.size(content)
        _check_size(field, width, height)
        reader.check(content)
    except Damaged as problem:
        raise Invalid.field(
            field, f"This {kind.name} image cannot be used: {problem}. Choose another."
        ) from None
    return Image(kind, width, height, hashlib.sha256(content).hexdigest())


def _format(field: str, content: bytes) -> Format:
    if content.startswith(png.SIGNATURE):
        return Format.PNG
    if content.startswith(jpeg.SIGNATURE):
        return Format.JPEG
    if re.search(rb"<svg[\s>]", content[:4096], re.IGNORECASE):
        raise Invalid.field(
            field,
            "SVG is refused: it can hold scripts, and most mail programs do not show it. "
            "Save the image as PNG.",
        )
    raise Invalid.field(field, f"This file is neither a PNG nor a JPEG image. {_CURE}")


def _check_size(field: str, width: int, height: int) -> None:
    if min(width, height) >= SHORTEST_SIDE and max(width, height) <= LONGEST_SIDE:
        return
    raise Invalid.field(
        field,
        f"The image is {width} x {height} pixels. Each side must have {SHORTEST_SIDE} to "
        f"{LONGEST_SIDE}.",
    )
