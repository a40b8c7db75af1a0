"""Mail that waited when a backup was made: whether it has gone out since, nobody knows."""

from sqlalchemy import ColumnElement, and_, func, select, update

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.extensions import db
from portal.identity.models import Organization

# No sweep and no change of settings releases this reason; a person does, or the lifetime of the
# mail ends it.
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


def count_held(organization: Organization | None) -> int:
    """How much mail is held since a restore, of one organization or (None) of all."""
    held = select(func.count()).select_from(Delivery).where(_held(organization))
    return db.session.scalar(held) or 0


def send_held(organization: Organization | None, *, actor: Actor) -> int:
    """Queue it, marked as a possible second copy; the caller commits. Returns how many."""
    queued = db.session.execute(
        update(Delivery)
        .where(_held(organization))
        .values(
            state=State.QUEUED,
            reason=None,
            next_attempt_at=utcnow(),
            may_be_duplicate=True,
        )
        .execution_options(synchronize_session=False)
    )
    count = rows_changed(queued)
    audit.record(
        actor,
        "installation.restored_mail_sent",
        organization_id=organization.id if organization else None,
        object_type="installation",
        changes={"mails": {"before": None, "after": count}},
    )
    jobs.kick_after_commit()
    return count


def _held(organization: Organization | None) -> ColumnElement[bool]:
    held = and_(Delivery.state == State.HELD, Delivery.reason == RESTORED)
    return held if organization is None else held & (Delivery.organization_id == organization.id)
