"""The only caller of the system clock, and what depends on it: times and time-ordered ids."""

import os
import threading
import time
import uuid
from datetime import UTC, datetime

# Of an id, behind its milliseconds. A start in bytes leaves room for the steps of a millisecond.
_RANDOM_BITS = 74
_START, _STEP = 9, 4
# A clock that was put back by more than ten seconds is followed.
_FOLLOWED = 10_000 << _RANDOM_BITS
_lock = threading.Lock()
_newest = 0


def utcnow() -> datetime:
    """The current time, aware, in UTC, with microseconds."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that no one can set: for deadlines and durations, never for display."""
    return time.monotonic()


def since_boot() -> float:
    """Seconds on a clock that no one can set and that goes on while the machine sleeps, where the
    system has one (Linux): against it a jump of the other clock is seen."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def new_id() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, version 7), so that newer rows sort after older ones: in one
    process also within a millisecond, and when the clock is put back a little."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[uuid.UUID]:
    """So many at once, in their order."""
    global _newest  # noqa: PLW0603 - all ids of the process follow each other
    noise = os.urandom(_START + _STEP * count)
    fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | int.from_bytes(noise[:_START])
    values = []
    with _lock:
        was_put_back = _newest - fresh > _FOLLOWED
        value = fresh if was_put_back else max(fresh, _newest)
        for at in range(_START, len(noise), _STEP):
            value += 1 + int.from_bytes(noise[at : at + _STEP])
            values.append(value)
        _newest = value
    return [_uuid7(value) for value in values]


def _uuid7(value: int) -> uuid.UUID:
    """Of the milliseconds with the random bits behind them."""
    random = value & (1 << _RANDOM_BITS) - 1
    milliseconds = value >> _RANDOM_BITS & (1 << 48) - 1
    bits = milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62
    return uuid.UUID(int=bits | random & (1 << 62) - 1)
