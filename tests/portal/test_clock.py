"""Times are aware; ids sort by the time at which they were made."""

import uuid
from datetime import UTC, datetime, timedelta

import time_machine

from portal import clock

NOW = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)


def test_now_is_aware_and_in_utc() -> None:
    with time_machine.travel(NOW, tick=False):
        assert clock.utcnow() == NOW
    assert clock.utcnow().utcoffset() == timedelta(0)


def test_ids_are_uuids_of_version_7_that_hold_their_time() -> None:
    with time_machine.travel(NOW, tick=False):
        made = clock.new_id()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_newer_ids_sort_after_older_ones_as_numbers_bytes_and_text() -> None:
    made = []
    with time_machine.travel(NOW, tick=False) as traveller:
        for _ in range(100):
            made.append(clock.new_id())
            traveller.shift(timedelta(milliseconds=1))
    assert made == sorted(made)
    assert [one.bytes for one in made] == sorted(one.bytes for one in made)
    assert [str(one) for one in made] == sorted(map(str, made))


def test_ids_of_one_moment_differ_and_keep_their_order() -> None:
    with time_machine.travel(NOW, tick=False):
        made = [clock.new_id() for _ in range(10_000)] + clock.new_ids(1000)
    assert len(set(made)) == 11_000
    assert made == sorted(made)


def test_ids_follow_a_clock_that_was_put_back() -> None:
    with time_machine.travel(NOW, tick=False) as traveller:
        first = clock.new_id()
        traveller.shift(-timedelta(seconds=1))
        assert clock.new_id() > first
        traveller.shift(-timedelta(minutes=1))
        assert clock.new_id().int >> 80 == int((NOW - timedelta(seconds=61)).timestamp() * 1000)


def test_durations_do_not_follow_the_wall_clock() -> None:
    before = clock.monotonic()
    assert clock.monotonic() >= before
