"""A count that slides: never more than the limit in any window, wherever that begins."""

import random
from itertools import pairwise

import pytest

from portal.delivery.windows import Window

MINUTE = 60
START = 1_800_000_000.0


def test_what_was_added_counts_for_its_time_and_is_gone_soon_after() -> None:
    window = Window(MINUTE)
    window.add(START)
    assert window.used(START) == 1
    assert window.used(START + MINUTE) == 1
    assert window.used(START + MINUTE + MINUTE / 12 + 0.1) == 0


def test_a_full_window_opens_when_its_oldest_slides_out() -> None:
    window = Window(MINUTE)
    for second in (0, 0, 30):
        window.add(START + second)
    opens = window.opens_at(3, START + 40)
    assert MINUTE <= opens - START <= MINUTE + MINUTE / 12
    assert window.used(opens) == 1


def test_a_window_with_room_is_open_now() -> None:
    window = Window(MINUTE)
    window.add(START)
    assert window.opens_at(2, START + 1) == START + 1


def test_a_limit_of_nothing_never_opens() -> None:
    assert Window(MINUTE).opens_at(0, START) == START + MINUTE


def test_its_size_does_not_grow() -> None:
    window = Window(MINUTE)
    for second in range(10_000):
        window.add(START + second)
    assert len(window.counts) == 13


def test_it_is_the_same_after_it_was_stored() -> None:
    window = Window(MINUTE)
    window.add(START)
    window.add(START + 20)
    assert Window.of(MINUTE, window.stored) == window


@pytest.mark.parametrize("seed", range(5))
def test_in_no_minute_there_are_more_than_the_limit(seed: int) -> None:
    chance = random.Random(seed)
    limit, window, now, went = 20, Window(MINUTE), START, []
    for _ in range(2000):
        now += chance.expovariate(2.0)
        if window.used(now) < limit:
            window.add(now)
            went.append(now)
    assert len(went) > 10 * limit
    for first, last in zip(went, went[limit:], strict=False):
        assert last - first > MINUTE
    assert all(one <= other for one, other in pairwise(went))
