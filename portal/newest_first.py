"""Pages of rows, newest first, by keyset; never COUNT, never OFFSET.

Ids are ordered by time (RFC 9562, version 7), so the id of the last row is the cursor.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from portal.extensions import db

PAGE = 50
Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Newest first. `next` is what to give as `after`; None: this was the last page. `newer` is
    what to give as `newer_than`; None: this is the first page."""

    items: list[Row]
    next: uuid.UUID | None
    newer: uuid.UUID | None = None


def page(
    rows: Select[Any],
    row_id: InstrumentedAttribute[uuid.UUID],
    limit: int,
    *,
    after: uuid.UUID | None,
    newer_than: uuid.UUID | None,
) -> Page[Any]:
    """Of these rows those older than `after`, or next to `newer_than`."""
    if newer_than is not None and (found := _newer(rows, row_id, limit, newer_than)) is not None:
        return found
    if after is not None:
        rows = rows.where(row_id < after)
    fetched = list(db.session.scalars(rows.order_by(row_id.desc()).limit(limit + 1)))
    items = fetched[:limit]
    return Page(
        items,
        items[-1].id if len(fetched) > limit else None,
        items[0].id if items and after is not None else None,
    )


def _newer(
    rows: Select[Any], row_id: InstrumentedAttribute[uuid.UUID], limit: int, newer_than: uuid.UUID
) -> Page[Any] | None:
    """The page before. None: it would be the first one, which is read from its top."""
    rising = rows.where(row_id > newer_than).order_by(row_id).limit(limit + 1)
    found = list(db.session.scalars(rising))
    if len(found) <= limit:
        return None
    items = found[:limit][::-1]
    return Page(items, items[-1].id, items[0].id)
