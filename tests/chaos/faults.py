"""What a run was hit by: the one place that says how many copies the faults account for."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.crew import Strike
from tests.chaos.sink import Dot, Fate
from tests.ledger import name_of


@dataclass
class Faults:
    strikes: list[Strike] = field(default_factory=list)
    dots: Sequence[Dot] = ()
    restarts: int = 0

    @property
    def copies(self) -> list[Dot]:
        """What recipients have."""
        return [dot for dot in self.dots if dot.is_copy]

    @property
    def drops(self) -> list[Dot]:
        return [dot for dot in self.dots if dot.fate is not Fate.ANSWERED]

    def kills_of(self) -> Mapping[uuid.UUID, int]:
        """How often a kill met each delivery between its final dot and the commit."""
        return Counter(one for strike in self.strikes for one in strike.standing)

    def drops_of(self) -> Mapping[tuple[str, str], int]:
        """How often the server dropped each mail after its final dot."""
        return Counter(map(name_of, self.drops))

    def answers_of(self) -> Mapping[tuple[str, str], int]:
        """How often the server was about to say that it took each mail."""
        return Counter(name_of(dot) for dot in self.dots if dot.fate is Fate.ANSWERED)
