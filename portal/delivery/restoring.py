"""Mail that waited when a backup was made: whether it has gone out since, nobody knows."""

from sqlalchemy import func, select, update

from portal.database import rows_changed
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.extensions import db

# No sweep and no change of settings releases this reason; the lifetime of the mail ends it.
RESTORED = "restored_from_backup"
_WAITING = (State.QUEUED, State.SENDING, State.DEFERRED, State.HELD)


def count_waiting() -> int:
    """How much mail would go out by itself."""
    waits = select(func.count()).select_from(Delivery).where(Delivery.state.in_(_WAITING))
    return db.session.scalar(waits) or 0


def hold_waiting() -> int:
    """Hold all mail that would go out by itself; the caller commits. Returns how many.

    Mail that was held for another reason is among it: that reason may have ended, and the mail
    gone out, after the backup was made.
    """
    begun = select(Delivery.id).where(Delivery.state == State.SENDING)
    for dot_pending, outcome in (
        (True, AttemptOutcome.UNKNOWN),
        (False, AttemptOutcome.RECOVERED),
    ):
        db.session.execute(
            update(Attempt)
            .where(
                Attempt.outcome.is_(None),
                Attempt.delivery_id.in_(begun.where(Delivery.dot_pending.is_(dot_pending))),
            )
            .values(outcome=outcome, cause=RESTORED)
            .execution_options(synchronize_session=False)
        )
    held = db.session.execute(
        update(Delivery)
        .where(Delivery.state.in_(_WAITING))
        .values(
            state=State.HELD,
            reason=RESTORED,
            next_attempt_at=None,
            lease_owner=None,
            lease_until=None,
            dot_pending=False,
            fence=Delivery.fence + 1,
        )
        .execution_options(synchronize_session=False)
    )
    return rows_changed(held)
