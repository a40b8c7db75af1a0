"""Writing acceptances down, all of one turn at once: most of a worker's days consist of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Row, Table, bindparam, select, update

from portal.clock import utcnow
from portal.delivery import aside, attempts, claims
from portal.delivery.claims import Claim
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.delivery.phases import PhaseLog
from portal.extensions import db
from portal.smtp.values import Accepted


class Acceptance(NamedTuple):
    """A server's final 250. `ms`: how long the transaction took."""

    claim: Claim
    outcome: Accepted
    ms: int
    phases: PhaseLog


def store(accepted: Sequence[Acceptance]) -> None:
    """The caller commits. Where the claim is not ours any more it is written on the attempt alone,
    never over a newer state."""
    if not accepted:
        return
    rows = db.session.execute(_HELD, claims.held([one.claim for one in accepted]))
    held = {row.id: row for row in rows}
    ours = [one for one in accepted if one.claim.delivery_id in held]
    if ours:
        _write(ours, [held[one.claim.delivery_id] for one in ours])
    for one in accepted:
        if one.claim.delivery_id not in held:
            attempts.note_late(one.claim, one.outcome)
            attempts.note_lost_lease(one.claim)


def _write(accepted: Sequence[Acceptance], rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
    connection = db.session.connection()
    now = utcnow()
    connection.execute(
        _DELIVERY,
        [
            {
                "its_id": one.claim.delivery_id,
                "accepted_at": now,
                "code": one.outcome.code,
                "reply": one.outcome.reply,
                "ip": one.phases.ip or one.outcome.ip,
            }
            for one in accepted
        ],
    )
    connection.execute(
        _ATTEMPT,
        [
            {
                "its_id": one.claim.delivery_id,
                "its_number": row.attempt_count,
                "code": one.outcome.code,
                "reply": one.outcome.reply,
                "ms": one.ms,
                "phases": one.phases.phases,
                "ip": one.phases.ip or one.outcome.ip,
                "tls": one.phases.tls,
            }
            for one, row in zip(accepted, rows, strict=True)
        ],
    )
    aside.forget_secrets([row.id for row in rows])


_delivery = cast(Table, Delivery.__table__)
_attempt = cast(Table, Attempt.__table__)
_HELD = select(Delivery.id, Delivery.attempt_count).where(claims.HELD).with_for_update()
# The other columns come with the rows.
_DELIVERY = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("its_id"))
    .values(
        state=State.ACCEPTED,
        reason=None,
        enhanced_code=None,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        dot_pending=False,
    )
)
_ATTEMPT = (
    update(_attempt)
    .where(
        _attempt.c.delivery_id == bindparam("its_id"), _attempt.c.number == bindparam("its_number")
    )
    .values(outcome=AttemptOutcome.ACCEPTED)
)
