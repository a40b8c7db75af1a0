"""An accent of any brightness gives words that can be read, by day and by night."""

import pytest

from portal.letters.colours import PETROL, contrast, palette


@pytest.mark.parametrize(
    "accent", [PETROL, "#ffee00", "#000000", "#ffffff", "#ff0000", "#808080", "#00ff88", "#2b2bff"]
)
def test_words_reach_the_contrast_that_the_standard_asks_for(accent: str) -> None:
    colours = palette(accent)
    assert contrast(colours.fill, colours.on_fill) >= 4.5
    assert contrast(colours.link, "#f7f6f2") >= 4.5
    assert contrast(colours.night_fill, "#1a1f23") >= 4.5
    assert contrast(colours.night_fill, colours.night_on_fill) >= 4.5


@pytest.mark.parametrize("accent", ["", "red", "#fff", "#12345g", "#0b5a6b;x", "#0b5a6b\n"])
def test_what_is_no_colour_counts_as_petrol(accent: str) -> None:
    assert palette(accent) == palette(PETROL)
