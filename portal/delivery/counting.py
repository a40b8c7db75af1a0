"""Numbers for pages, each from a bounded read: a page never counts a whole table."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from portal.extensions import db

MOST = 10_000


@dataclass(frozen=True)
class Count:
    """How many there are. `is_more`: at least as many, counting stopped there."""

    number: int
    is_more: bool = False

    @property
    def up_to_more(self) -> int:
        """As one number, for storing: one above MOST stands for more than that."""
        return MOST + 1 if self.is_more else self.number

    def __add__(self, other: "Count") -> "Count":
        return Count(self.number + other.number, self.is_more or other.is_more)

    def __bool__(self) -> bool:
        return self.number > 0


def count(rows: Select[Any]) -> Count:
    """How many rows there are, up to MOST."""
    found = db.session.scalar(counted(rows)) or 0
    return of(found)


def counted(rows: Select[Any]) -> Select[Any]:
    """The statement behind `count`, to be put together with others; give its result to `of`."""
    return select(func.count()).select_from(rows.limit(MOST + 1).subquery())


def of(found: int) -> Count:
    return Count(min(found, MOST), found > MOST)


def first_id_of(moment: datetime) -> uuid.UUID:
    """The smallest id that a row made at that moment or later can have (RFC 9562, version 7)."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
