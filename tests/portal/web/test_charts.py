"""A day as bars: heights that add up, round scales, nothing where there is nothing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from portal.delivery.models import State
from portal.records.overview import Day, Hour
from portal.web import charts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_day(**states: int) -> Day:
    """A day whose last hour has these."""
    quiet = [Hour(NOON - timedelta(hours=back), {}) for back in range(23, 0, -1)]
    busy = Hour(NOON, {State(name): number for name, number in states.items()})
    return Day((*quiet, busy), False)


def test_a_day_without_mail_has_no_chart() -> None:
    assert charts.of(a_day()) is None


def test_the_pieces_of_a_bar_stand_on_each_other() -> None:
    chart = charts.of(a_day(accepted=10, deferred=5, failed=3, suppressed=2))
    assert chart is not None
    pieces = chart.bars[-1].pieces
    assert [piece.fill for piece in pieces] == [fill for fill, _ in charts.SERIES]
    assert pieces[0].y + pieces[0].height == pytest.approx(charts.BASE)
    for lower, upper in pairwise(pieces):
        assert upper.y + upper.height == pytest.approx(lower.y)
    assert chart.bars[0].pieces == ()


@pytest.mark.parametrize(
    ("largest", "top"),
    [(1, 4), (4, 4), (5, 8), (9, 20), (21, 40), (41, 80), (81, 200), (4000, 4000), (4001, 8000)],
)
def test_the_scale_ends_at_a_round_number_that_holds_the_largest_hour(
    largest: int, top: int
) -> None:
    chart = charts.of(a_day(accepted=largest))
    assert chart is not None
    assert chart.lines[-1].number == top
    assert chart.bars[-1].pieces[0].y >= charts.TOP
