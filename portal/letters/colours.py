"""The accent in a letter, made readable on light and dark grounds (WCAG 2.2, 1.4.3)."""

import colorsys
import re
from dataclasses import dataclass
from functools import lru_cache

from portal.settings.contrast import READABLE, contrast

PETROL = "#0b5a6b"
_PAPER = "#f7f6f2"
_NIGHT = "#1a1f23"
_WHITE = "#ffffff"


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb: the filled button and its words, and links, by day and by night."""

    fill: str
    on_fill: str
    link: str
    night_fill: str
    night_on_fill: str


@lru_cache(maxsize=256)
def palette(accent: str) -> Palette:
    """The colours that follow from an accent; anything but #rrggbb counts as petrol."""
    fill = accent.lower() if re.fullmatch(r"#[0-9a-fA-F]{6}", accent) else PETROL
    deep = _lit(fill, 0.094)
    night_fill = _until_readable(_calm(fill), ground=_NIGHT, step=0.02)
    return Palette(
        fill=fill,
        on_fill=_on(fill, deep),
        link=_until_readable(fill, ground=_PAPER, step=-0.02),
        night_fill=night_fill,
        night_on_fill=deep,
    )


def _on(fill: str, deep: str) -> str:
    if contrast(fill, _WHITE) >= READABLE:
        return _WHITE
    return _until_readable(deep, ground=fill, step=-0.02)


def _calm(colour: str) -> str:
    hue, light, saturation = _hls(colour)
    return _hex(hue, max(light, 0.647), min(saturation, 0.545))


def _lit(colour: str, light: float) -> str:
    hue, _, saturation = _hls(colour)
    return _hex(hue, light, saturation)


def _until_readable(colour: str, *, ground: str, step: float) -> str:
    hue, light, saturation = _hls(colour)
    end = 1.0 if step > 0 else 0.0
    while contrast(colour, ground) < READABLE and light != end:
        light = min(1.0, max(0.0, light + step))
        colour = _hex(hue, light, saturation)
    return colour


def _hls(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return colorsys.rgb_to_hls(red, green, blue)


def _hex(hue: float, light: float, saturation: float) -> str:
    channels = colorsys.hls_to_rgb(hue, light, saturation)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)
