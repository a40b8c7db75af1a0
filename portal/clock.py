"""The only caller of the system clock, and what depends on it: times and time-ordered ids."""

import os
import time
import uuid
from datetime import UTC, datetime


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
    """A time-ordered UUID (RFC 9562, version 7), so that newer rows sort after older ones."""
    return _id(time.time_ns() // 1_000_000, os.urandom(10))


def new_ids(count: int) -> list[uuid.UUID]:
    """So many at once, each of which sorts after the one before it."""
    milliseconds = time.time_ns() // 1_000_000
    noise = os.urandom(10 * count)
    return sorted(_id(milliseconds, noise[at : at + 10]) for at in range(0, 10 * count, 10))


def _id(milliseconds: int, noise: bytes) -> uuid.UUID:
    random = int.from_bytes(noise)
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= (random >> 68) << 64
    value |= 0b10 << 62
    value |= random & 0x3FFFFFFFFFFFFFFF
    return uuid.UUID(int=value)
