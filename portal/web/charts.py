"""A day by the hour as bars: where each piece of a bar stands. Pure; the template draws."""

from dataclasses import dataclass
from datetime import datetime

from portal.delivery.models import State
from portal.records.overview import Day, Hour

WIDTH, HEIGHT = 756, 291
LEFT, BASE, TOP = 56, 265.0, 10.0
_BAR, _STEP = 23, 29
_LABEL_EVERY = 3
_LINES = 4
# From the base up: what stands in a bar, with the class that fills it.
SERIES = (
    ("gp-fill-ok", (State.ACCEPTED,)),
    ("gp-fill-wait", (State.QUEUED, State.SENDING, State.DEFERRED, State.HELD)),
    ("gp-fill-bad", (State.FAILED, State.EXPIRED, State.UNKNOWN)),
    ("gp-fill-off", (State.SUPPRESSED, State.CANCELLED)),
)


@dataclass(frozen=True)
class Piece:
    """A part of a bar. Lengths are units of the drawing."""

    fill: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One hour; `label` None: too narrow for one."""

    x: int
    pieces: tuple[Piece, ...]
    label: datetime | None


@dataclass(frozen=True)
class Line:
    """A line of the scale and its number."""

    y: float
    number: int


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]


def of(day: Day) -> Chart | None:
    """None: there is nothing to draw."""
    if not day.total:
        return None
    step = _round_step(max(hour.of(*State) for hour in day.hours))
    top = step * _LINES
    lines = tuple(Line(_height(number * step, top), number * step) for number in range(_LINES + 1))
    return Chart(tuple(_bar(place, hour, top) for place, hour in enumerate(day.hours)), lines)


def _bar(place: int, hour: Hour, top: int) -> Bar:
    pieces, below = [], 0
    for fill, states in SERIES:
        number = hour.of(*states)
        if number:
            y = _height(below + number, top)
            pieces.append(Piece(fill, y, round(_height(below, top) - y, 1)))
        below += number
    label = hour.began if place % _LABEL_EVERY == 0 else None
    return Bar(LEFT + 3 + place * _STEP, tuple(pieces), label)


def _height(number: int, top: int) -> float:
    """Where that number stands; larger ones stand higher, at a smaller y."""
    return round(BASE - (BASE - TOP) * number / top, 1)


def _round_step(largest: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 ... of which so many lines hold the largest number."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * _LINES >= largest:
                return step * factor
        step *= 10
