"""What the database says of the workers of a run, and of the mail that is on its way."""

from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy import func, select, text

from portal.clock import monotonic
from portal.delivery import claims
from portal.delivery.models import Delivery, State, Worker
from portal.extensions import db
from tests.chaos import crew
from tests.chaos.crew import Strike
from tests.ledger import OVER

_PATIENCE = 120.0
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def locks_of(process: BaseProcess) -> int:
    """Its transactions that have written: they hold locks until they end."""
    return _backends(process, "backend_xid IS NOT NULL")


def until_it_writes(process: BaseProcess) -> None:
    """Returns in the middle of such a transaction, if it can."""
    until = monotonic() + _PATIENCE
    while not locks_of(process) and monotonic() < until:
        pass


def listens(process: BaseProcess, since: datetime) -> bool:
    """Whether it hears of new mail, by a connection that was made since."""
    return bool(_backends(process, "query LIKE 'LISTEN%'", since))


def strike_at(process: BaseProcess) -> Strike:
    """What it holds now, as a fault that nobody is told of."""
    held = db.session.execute(
        select(Delivery.id, Delivery.dot_pending).where(_is_its(Delivery.lease_owner, process))
    ).all()
    db.session.rollback()
    return Strike(frozenset(row.id for row in held if row.dot_pending), len(held), was_told=False)


def heartbeat(process: BaseProcess) -> Any:
    """When it last said that it lives; None: never."""
    beats = select(func.max(Worker.heartbeat_at)).where(_is_its(Worker.id, process))
    found = db.session.scalar(beats)
    db.session.rollback()
    return found


def unfinished() -> int:
    """How many deliveries are on their way."""
    db.session.rollback()
    on_its_way = Delivery.state.not_in([*OVER, State.SUPPRESSED])
    found = db.session.scalar(select(func.count()).where(on_its_way)) or 0
    db.session.rollback()
    return found


def standing() -> str:
    """What is not over, by state and reason."""
    counted = (
        select(Delivery.state, Delivery.reason, func.count())
        .where(Delivery.state.not_in([*OVER, State.SUPPRESSED]))
        .group_by(Delivery.state, Delivery.reason)
    )
    found = ", ".join(
        f"{count} {state} {reason}" for state, reason, count in db.session.execute(counted)
    )
    db.session.rollback()
    return found


def snapshot() -> dict[Any, Any]:
    """What is over, as the records tell it."""
    rows = db.session.execute(
        select(
            Delivery.id,
            Delivery.state,
            Delivery.reason,
            Delivery.fence,
            Delivery.attempt_count,
            Delivery.accepted_at,
            Delivery.reply,
            Delivery.may_be_duplicate,
        ).where(Delivery.state.in_(OVER))
    ).all()
    db.session.rollback()
    return {row.id: tuple(row)[1:] for row in rows}


def _backends(process: BaseProcess, condition: str, since: datetime = _LONG_AGO) -> int:
    """How many of its connections, begun since, PostgreSQL has in such a state."""
    asked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name "
        f"AND backend_start > :since AND ({condition})"
    )
    db.session.rollback()
    try:
        name = crew.connections_of(process.pid or 0)
        return db.session.scalar(asked, {"name": name, "since": since}) or 0
    finally:
        db.session.rollback()


def _is_its(column: Any, process: BaseProcess) -> Any:
    return column.startswith(f"{claims.process_name(process.pid or 0)}:", autoescape=True)
