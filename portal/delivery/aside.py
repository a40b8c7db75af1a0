"""Ending claims without a try: held, suppressed, cancelled, expired, or back in the queue."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, delete, func, update

from portal.delivery.models import Delivery, DeliverySecret, State
from portal.extensions import db

_FINAL = (State.CANCELLED, State.EXPIRED, State.SUPPRESSED)


@dataclass(frozen=True)
class Aside:
    """What becomes of one delivery, and why. `sender_id`: whom it waits for; `until`: how long."""

    delivery_id: uuid.UUID
    state: State
    reason: str
    sender_id: uuid.UUID | None = None
    until: datetime | None = None


def put(aside: Sequence[Aside]) -> None:
    """Write them down, and forget the secrets of those that never go; the caller commits and
    holds the claims."""
    if not aside:
        return
    rows = [
        {
            "its_id": one.delivery_id,
            "state": one.state,
            "reason": one.reason,
            "waits_for": one.sender_id,
            "next_attempt_at": one.until,
        }
        for one in aside
    ]
    db.session.connection().execute(_PUT, rows)
    if over := [one.delivery_id for one in aside if one.state in _FINAL]:
        forget_secrets(over)


def forget_secrets(delivery_ids: Sequence[uuid.UUID]) -> None:
    """Delete the links of letters that will not be written again."""
    db.session.execute(
        delete(DeliverySecret)
        .where(DeliverySecret.delivery_id.in_(delivery_ids))
        .execution_options(synchronize_session=False)
    )


_table = cast(Table, Delivery.__table__)
_waits_for = bindparam("waits_for", type_=_table.c.sender_id.type)
# The other columns come with the rows.
_PUT = (
    update(_table)
    .where(_table.c.id == bindparam("its_id"))
    .values(
        sender_id=func.coalesce(_waits_for, _table.c.sender_id),
        lease_owner=None,
        lease_until=None,
        dot_pending=False,
    )
)
