"""How many in the last minute, hour or day: a count that slides, in constant space. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

# A window slides by a twelfth of its length.
_SLOTS = 12


@dataclass
class Window:
    """Counts of the last `seconds`, by the number of their slot since the epoch.

    An event counts for at least `seconds` and at most a twelfth longer: never more than the limit
    in any such time, which is how providers count.
    """

    seconds: int
    counts: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seconds: int, stored: Mapping[str, int]) -> "Window":
        return cls(seconds, {int(slot): count for slot, count in stored.items()})

    @property
    def stored(self) -> dict[str, int]:
        return {str(slot): count for slot, count in self.counts.items()}

    def used(self, now: float) -> int:
        """`now` in seconds since the epoch, as in the other methods."""
        oldest = self._slot(now) - _SLOTS
        return sum(count for slot, count in self.counts.items() if slot >= oldest)

    def add(self, now: float) -> None:
        current = self._slot(now)
        oldest = current - _SLOTS
        self.counts = {slot: count for slot, count in self.counts.items() if slot >= oldest}
        self.counts[current] = self.counts.get(current, 0) + 1

    def opens_at(self, limit: int, now: float) -> float:
        """When there is room for one more; `now` itself where there is room already."""
        excess = self.used(now) - limit
        if excess < 0:
            return now
        oldest = self._slot(now) - _SLOTS
        for slot in sorted(slot for slot in self.counts if slot >= oldest):
            excess -= self.counts[slot]
            if excess < 0:
                return (slot + _SLOTS + 1) * self._length
        # A limit of nothing never opens; look again when everything has slid out.
        return now + self.seconds

    @property
    def _length(self) -> float:
        return self.seconds / _SLOTS

    def _slot(self, now: float) -> int:
        return math.floor(now / self._length)
