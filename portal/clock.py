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
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10))
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= (noise >> 68) << 64
    value |= 0b10 << 62
    value |= noise & 0x3FFFFFFFFFFFFFFF
    return uuid.UUID(int=value)
