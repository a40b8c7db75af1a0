"""Lanes: the waiting mail of one organization at one priority, each in the order of an index.

What waits is looked for lane by lane. So a backlog costs the same however long it is, and the mail
of another organization behind it is found as soon as without it.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from sqlalchemy import (
    CTE,
    ColumnElement,
    Label,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    literal,
    null,
    select,
    union_all,
)

from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.kinds import Priority

_table = cast(Table, Delivery.__table__)
_WAITING = (State.QUEUED, State.DEFERRED)


# Whose mail, and whether it is the most urgent: security mail goes by the host's sender whatever an
# organization chose, and so it waits behind nothing that waits for the organization's own server.
Line = tuple[uuid.UUID | None, bool]
# Of which lines there is enough: from this priority on, what is more urgent is wanted all the same.
Enough = Mapping[Line, int]
NOTHING: Enough = {}
_ALL = max(Priority) + 1


@dataclass(frozen=True)
class Lane:
    """`organization_id` None: the host's mail. `due_at`: when its first mail may go."""

    state: State
    priority: int
    organization_id: uuid.UUID | None
    due_at: datetime

    @property
    def line(self) -> Line:
        return line_of(self.organization_id, self.priority)


def line_of(organization_id: uuid.UUID | None, priority: int) -> Line:
    return organization_id, priority == Priority.SECURITY


def waiting(but: Enough = NOTHING) -> list[Lane]:
    """Every lane in which mail waits, the most urgent ones first, but what there is enough of.
    Takes as many steps through an index as there are lanes."""
    rows = db.session.execute(_LANES)
    lanes = [Lane(*row) for row in rows if row.due_at is not None]
    wanted = (one for one in lanes if one.priority < but.get(one.line, _ALL))
    return sorted(wanted, key=_urgency)


def first_due(lanes: Sequence[Lane], now: datetime, limit: int) -> list[uuid.UUID]:
    """The deliveries that go next, at most `limit`, locked on PostgreSQL. Urgent ones come first;
    lanes of the same priority share what is left, whatever the length of each."""
    found: list[uuid.UUID] = []
    due = [lane for lane in lanes if lane.due_at <= now]
    for _, equals in groupby(due, key=lambda lane: lane.priority):
        group = list(equals)
        for number, lane in enumerate(group):
            left = limit - len(found)
            if left <= 0:
                return found
            share = max(1, left // (len(group) - number))
            found += _first_of(lane, now, share)
    return found


def _first_of(lane: Lane, now: datetime, limit: int) -> Sequence[uuid.UUID]:
    query = _HOSTS if lane.organization_id is None else _ONES
    values = vars(lane) | {"now": now, "most": limit}
    return db.session.scalars(query, values).all()


def _urgency(lane: Lane) -> tuple[int, datetime]:
    return lane.priority, lane.due_at


def _first(of: ColumnElement[Any], lane: CTE, *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The smallest value of this column in the lane: one step through the index."""
    same = (_table.c.state == lane.c.state, _table.c.priority == lane.c.priority)
    query = select(of).where(*same, *where).order_by(of).limit(1)
    return query.correlate(lane).scalar_subquery()


def _all_lanes() -> Any:
    """From each organization that waits to the next one, within each state and priority."""
    organization, at = _table.c.organization_id, _table.c.next_attempt_at
    starts = union_all(
        *(
            select(_named(_table.c.state, state), _named(_table.c.priority, int(priority)))
            for state in _WAITING
            for priority in Priority
        )
    ).cte("starts")
    lanes = select(
        starts.c.state,
        starts.c.priority,
        _first(organization, starts, organization.is_not(None)).label("organization_id"),
    ).cte("lanes", recursive=True)
    lanes = lanes.union_all(
        select(
            lanes.c.state,
            lanes.c.priority,
            _first(organization, lanes, organization > lanes.c.organization_id),
        ).where(lanes.c.organization_id.is_not(None))
    )
    of_lane = _first(at, lanes, organization == lanes.c.organization_id)
    of_host = _first(at, starts, organization.is_(None))
    return union_all(
        select(lanes, of_lane.label("due_at")).where(lanes.c.organization_id.is_not(None)),
        select(starts, null().label("organization_id"), of_host.label("due_at")),
    )


def _named(column: ColumnElement[Any], value: object) -> Label[Any]:
    return literal(value, column.type).label(column.key)


def _lane(*organization: ColumnElement[bool]) -> Select[uuid.UUID]:
    return (
        select(_table.c.id)
        .where(
            _table.c.state == bindparam("state"),
            _table.c.priority == bindparam("priority"),
            *organization,
            _table.c.next_attempt_at <= bindparam("now"),
        )
        .order_by(_table.c.next_attempt_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


_LANES = _all_lanes()
_ONES = _lane(_table.c.organization_id == bindparam("organization_id"))
_HOSTS = _lane(_table.c.organization_id.is_(None))
