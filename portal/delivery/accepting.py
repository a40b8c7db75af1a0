"""Writing acceptances down, all of one turn at once: most of a worker's days consist of them."""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, bindparam, select, update

from portal.clock import utcnow
from portal.delivery import aside, attempts, claims
from portal.delivery.claims import Claim
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.delivery.phases import PhaseLog
from portal.extensions import db
from portal.prepared import Prepared
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
    worker = accepted[0].claim.worker
    written = _DELIVERY.run([_of_delivery(one) for one in accepted], worker=worker, now=utcnow())
    ours = list(accepted)
    if written != len(accepted):
        ids = _written([one.claim for one in accepted])
        ours = [one for one in accepted if one.claim.delivery_id in ids]
        for one in accepted:
            if one not in ours:
                attempts.note_late(one.claim, one.outcome)
                attempts.note_lost_lease(one.claim)
    _ATTEMPT.run([_of_attempt(one) for one in ours])
    aside.forget_secrets([one.claim.delivery_id for one in ours])


def _written(claimed: Sequence[Claim]) -> set[uuid.UUID]:
    """Whose acceptance stands: a fence counts on when another claims the delivery or it ends in
    another way."""
    fences = {one.delivery_id: one.fence for one in claimed}
    rows = db.session.execute(
        select(Delivery.id, Delivery.fence).where(
            Delivery.id.in_(fences), Delivery.state == State.ACCEPTED
        )
    )
    return {row.id for row in rows if row.fence == fences[row.id]}


def _of_delivery(one: Acceptance) -> tuple[Any, ...]:
    ip = one.phases.ip or one.outcome.ip
    return (*claims.key(one.claim), one.outcome.code, one.outcome.reply, ip)


def _of_attempt(one: Acceptance) -> tuple[Any, ...]:
    return (
        one.claim.delivery_id,
        one.claim.number,
        one.outcome.code,
        one.outcome.reply,
        one.ms,
        one.phases.phases,
        one.phases.ip or one.outcome.ip,
        one.phases.tls,
    )


_delivery, _attempt = cast(Table, Delivery.__table__), cast(Table, Attempt.__table__)
_DELIVERY = Prepared(
    lambda own: (
        update(_delivery)
        .where(claims.mine(own))
        .values(
            state=State.ACCEPTED,
            reason=None,
            accepted_at=bindparam("now"),
            code=own["its_code"],
            enhanced_code=None,
            reply=own["its_reply"],
            ip=own["its_ip"],
            next_attempt_at=None,
            lease_owner=None,
            lease_until=None,
            dot_pending=False,
        )
    ),
    claims.KEY
    | {"its_code": _delivery.c.code, "its_reply": _delivery.c.reply, "its_ip": _delivery.c.ip},
)
_ATTEMPT = Prepared(
    lambda own: (
        update(_attempt)
        .where(_attempt.c.delivery_id == own["its_id"], _attempt.c.number == own["its_number"])
        .values(
            outcome=AttemptOutcome.ACCEPTED,
            code=own["its_code"],
            reply=own["its_reply"],
            ms=own["its_ms"],
            phases=own["its_phases"],
            ip=own["its_ip"],
            tls=own["its_tls"],
        )
    ),
    {
        "its_id": _attempt.c.delivery_id,
        "its_number": _attempt.c.number,
        "its_code": _attempt.c.code,
        "its_reply": _attempt.c.reply,
        "its_ms": _attempt.c.ms,
        "its_phases": _attempt.c.phases,
        "its_ip": _attempt.c.ip,
        "its_tls": _attempt.c.tls,
    },
)
