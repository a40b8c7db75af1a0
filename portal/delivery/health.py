"""The health of a sender: what works, what is paused, and when it is tried again."""

import random
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, or_, select, update

from portal import jobs
from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery import retry
from portal.extensions import db
from portal.prepared import PreparedSelect
from portal.settings.models import Sender
from portal.smtp.values import Failure

SENDER_FAILING = "sender_failing"
# A success is written to the sender at most this often; failures always.
_SUCCESS_NOTED = timedelta(seconds=30)
_PROBE_LASTS = timedelta(minutes=2)


_senders = cast(Table, Sender.__table__)
_PAUSED = PreparedSelect(
    lambda _: select(_senders.c.id, _senders.c.next_probe_at).where(
        _senders.c.next_probe_at.is_not(None)
    )
)
_NEWS = PreparedSelect(
    lambda among: select(_senders.c.id).where(
        among(_senders.c.id, "ids"),
        or_(
            _senders.c.next_probe_at.is_not(None),
            _senders.c.consecutive_failures > 0,
            _senders.c.last_success_at.is_(None),
            _senders.c.last_success_at < bindparam("noted_before"),
        ),
    )
)


class Pauses:
    """Which senders are paused, as it is in this transaction."""

    def __init__(self) -> None:
        self._next_probe: dict[uuid.UUID, datetime | None] = dict(_PAUSED.rows())

    def may_send(self, sender_id: uuid.UUID, now: datetime) -> bool:
        """Whether mail may leave by it now: it works, or this mail is its one probe.

        A probe that never answers, because its worker died, lets the next one go after a while.
        """
        next_probe = self._next_probe.get(sender_id)
        if next_probe is None:
            return True
        if next_probe > now:
            return False
        self._next_probe[sender_id] = now + _PROBE_LASTS
        taken = db.session.execute(
            update(Sender)
            .where(Sender.id == sender_id, Sender.next_probe_at == next_probe)
            .values(next_probe_at=now + _PROBE_LASTS)
            .execution_options(synchronize_session=False)
        )
        return rows_changed(taken) == 1


def work(sender_ids: Collection[uuid.UUID]) -> None:
    """Note a success of each; mostly there is nothing to note, and one look tells."""
    news = _NEWS.rows(ids=list(sender_ids), noted_before=utcnow() - _SUCCESS_NOTED)
    for (sender_id,) in news:
        works(db.session.get(Sender, sender_id))


def works(sender: Sender | None) -> None:
    """Note a success; the first one after a failure lets the held mail go."""
    now = utcnow()
    if sender is None:
        return
    if sender.next_probe_at is not None or sender.consecutive_failures:
        sender.consecutive_failures = 0
        sender.next_probe_at = None
        sender.last_failure_cause = None
        sender.last_success_at = now
        if sender.failure_told_at is None:
            sender.failing_since_at = None
        jobs.emit("sender_recovered", organization_id=sender.organization_id, sender=str(sender.id))
    elif sender.last_success_at is None or now - sender.last_success_at > _SUCCESS_NOTED:
        sender.last_success_at = now


def fails(sender: Sender | None, failure: Failure, now: datetime) -> None:
    """Pause the sender until its next probe."""
    if sender is None:
        return
    failures = sender.consecutive_failures + 1
    db.session.execute(
        update(Sender)
        .where(Sender.id == sender.id)
        .values(
            consecutive_failures=failures,
            failing_since_at=sender.failing_since_at or now,
            last_failure_at=now,
            last_failure_cause=failure.cause,
            next_probe_at=retry.next_probe(failures, now, jitter=random.random()),  # noqa: S311
        )
    )


def is_late(sender: Sender | None, now: datetime) -> None:
    """It asked us to come later before any mail was named: a paused sender stays paused."""
    if sender is not None and sender.next_probe_at is not None:
        sender.next_probe_at = retry.next_probe(sender.consecutive_failures, now)
