"""Ending claims without a try: held, suppressed, cancelled, expired, or back in the queue."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, delete, func, update

from portal.delivery.models import Delivery, DeliverySecret, State
from portal.prepared import Prepared

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
    _PUT.run([(one.delivery_id, one.state, one.reason, one.sender_id, one.until) for one in aside])
    forget_secrets([one.delivery_id for one in aside if one.state in _FINAL])


def forget_secrets(delivery_ids: Sequence[uuid.UUID]) -> None:
    """Delete the links of letters that will not be written again."""
    _FORGET.run([(one,) for one in delivery_ids])


_table = cast(Table, Delivery.__table__)
_secrets = cast(Table, DeliverySecret.__table__)
_PUT = Prepared(
    lambda own: (
        update(_table)
        .where(_table.c.id == own["its_id"])
        .values(
            state=own["its_state"],
            reason=own["its_reason"],
            sender_id=func.coalesce(own["its_sender_id"], _table.c.sender_id),
            next_attempt_at=own["its_next_attempt_at"],
            lease_owner=None,
            lease_until=None,
            dot_pending=False,
        )
    ),
    {
        "its_id": _table.c.id,
        "its_state": _table.c.state,
        "its_reason": _table.c.reason,
        "its_sender_id": _table.c.sender_id,
        "its_next_attempt_at": _table.c.next_attempt_at,
    },
)
_FORGET = Prepared(
    lambda own: delete(_secrets).where(_secrets.c.delivery_id == own["its_id"]),
    {"its_id": _secrets.c.delivery_id},
)
