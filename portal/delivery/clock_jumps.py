"""A jump of the system clock: what waits is put right, so that nothing expires or sleeps by it.

Times are kept in UTC, so summer time is none. Workers of one machine see a jump each for itself:
what one has put right the next finds in order.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from portal import logs
from portal.clock import since_boot, utcnow
from portal.delivery import claims, retry
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.settings.models import Sender

# A clock that is kept in time is moved by less.
_JUMP = timedelta(seconds=30)
_PORTION = 500
_WAITING = (State.QUEUED, State.DEFERRED, State.HELD, State.SENDING)
_log = logs.logger("worker")


class ClockWatch:
    """Compares the clock that people set with one that nobody can set."""

    def __init__(self) -> None:
        self._anchor()

    def has_jumped(self) -> bool:
        """Look; after a jump put right what waits, commit, and say so in the log."""
        then = self._at + timedelta(seconds=since_boot() - self._since_boot)
        now = utcnow()
        if abs(now - then) < _JUMP:
            return False
        _log.warning("clock jumped", seconds=round((now - then).total_seconds()))
        if now > then:
            _keep_lifetimes(then, now)
        else:
            _keep_waits(then, now)
        db.session.commit()
        self._anchor()
        return True

    def _anchor(self) -> None:
        self._at, self._since_boot = utcnow(), since_boot()


def _keep_lifetimes(then: datetime, now: datetime) -> None:
    """What would have expired by the jump alone has as much time left as before; commits."""
    expires = Delivery.expires_at
    ended_by_it = (
        select(Delivery)
        .where(Delivery.state.in_(_WAITING), expires > then, expires <= now)
        .limit(_PORTION)
        .with_for_update()
    )
    while found := db.session.scalars(ended_by_it).all():
        for delivery in found:
            delivery.expires_at += now - then
        db.session.commit()
        db.session.expunge_all()


def _keep_waits(then: datetime, now: datetime) -> None:
    """What was due is due, and nothing waits longer than a retry, a probe or a lease lasts."""
    was_due = (Delivery.next_attempt_at > now) & (Delivery.next_attempt_at <= then)
    too_late = Delivery.next_attempt_at > now + retry.LONGEST_WAIT
    lease_ends = lease_now() + claims.LEASE
    for condition, values in (
        (Delivery.state.in_(_WAITING) & (was_due | too_late), {"next_attempt_at": now}),
        (Delivery.lease_until > lease_ends, {"lease_until": lease_ends}),
    ):
        db.session.execute(
            update(Delivery)
            .where(condition)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
    db.session.execute(
        update(Sender)
        .where(Sender.next_probe_at > now + retry.LONGEST_PROBE)
        .values(next_probe_at=now)
        .execution_options(synchronize_session=False)
    )
