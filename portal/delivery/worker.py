"""The delivery worker: one process that claims due deliveries and sends them over SMTP.

The loop drives the sessions of all senders at once, so that a slow server holds up nobody else's
mail. Numbered steps below.
"""

import signal
import threading
from datetime import timedelta
from types import FrameType

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from portal import logs, outage
from portal.clock import monotonic, utcnow
from portal.database import reading_only
from portal.delivery import claims, limits, recovering, sweeping
from portal.delivery.clock_jumps import ClockWatch
from portal.delivery.lease_clock import lease_now
from portal.delivery.loop import Loop
from portal.delivery.models import Worker
from portal.extensions import db
from portal.jobs import Waker

_SWEEP_EVERY = 5.0
_RENEW_EVERY = 15.0
_EVENTS_EVERY = 1.0
_BATCH = 200
# Of a line that has so many in hand and not begun nothing is claimed but what is more urgent: it
# waits in the table, where other workers and later changes of settings find it.
_ENOUGH = 64
# While there is mail in hand, so often; else at every turn.
_CLAIM_EVERY = 0.05
_STOP_WITHIN = 10.0
# Workers start side by side: for so long one that came leaves room on each sender for another.
_EXPECTS_COMPANY = 0.5
# A worker that did not renew for so long counts no more.
_SILENT_AFTER = timedelta(seconds=60)
_log = logs.logger("worker")


def run(app: Flask) -> None:
    """Deliver until SIGTERM or SIGINT: then finish what is being sent and give back the rest."""
    stop = threading.Event()

    with app.app_context(), Waker(app.extensions["config"].data_dir, db.engine) as waker:

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()
            waker.interrupt()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        DeliveryWorker(app, claims.worker_name(), stop).run(waker)


class DeliveryWorker:
    """The loop with its claims. Tests run it in a thread of their own until `stop` is set."""

    def __init__(self, app: Flask, name: str, stop: threading.Event) -> None:
        self._name = name
        self._stop = stop
        self._loop = Loop(app, stop)
        self._started = False
        self._swept = self._renewed = self._looked = self._claimed = self._jumped = float("-inf")
        self._began = monotonic()
        self._watch = ClockWatch()

    def run(self, waker: Waker) -> None:
        while not self._stop.is_set():
            try:
                self._turn(waker)
                outage.here.is_over()
            except SQLAlchemyError as problem:
                # The database went away: nothing is claimed or sent until it is back.
                db.session.remove()
                outage.here.goes_on(problem)
                self._stop.wait(1.0)
        self._finish()

    def _turn(self, waker: Waker) -> None:
        # 1. Say that this worker lives, and keep its leases: at once where the clock jumped.
        if self._watch.has_jumped():
            self._renewed, self._jumped = float("-inf"), monotonic()
        self._keep_leases()
        # 2. Act on what changed above: settings, organizations, people.
        released = self._look_for_events(waker.wait(0))
        # 3. Take over what a dead worker left, try paused senders, end what is too old.
        self._sweep()
        # 4. Claim what is due, but nothing of an organization that has enough in hand.
        claimed = self._claim()
        # 5. A turn of the loop: send, hear, write down. It sleeps until a server speaks, a kick
        #    comes, or something is due.
        patience = 0.0 if claimed or released else self._patience()
        self._loop.turn(patience, waker.ears())

    def _keep_leases(self) -> None:
        if monotonic() - self._renewed < _RENEW_EVERY:
            return
        now = lease_now()
        row = db.session.get(Worker, self._name) or Worker(id=self._name, started_at=now)
        row.heartbeat_at = now
        db.session.add(row)
        claims.renew(self._name, but=self._loop.abandoned)
        self._renewed = monotonic()

    def _look_for_events(self, was_kicked: bool) -> int:
        was_new = self._looked - self._began < _EXPECTS_COMPANY
        every = _EXPECTS_COMPANY if was_new else _EVENTS_EVERY
        if not was_kicked and monotonic() - self._looked < every:
            return 0
        self._looked = monotonic()
        is_new = self._looked - self._began < _EXPECTS_COMPANY
        self._loop.share_with(max(2 if is_new else 1, _living()))
        if was_kicked:
            self._loop.settings_changed()
        return sweeping.handle_events()

    def _sweep(self) -> None:
        if monotonic() - self._swept < _SWEEP_EVERY:
            return
        if not self._started:
            sweeping.release_sealed()
            self._started = True
        # After a jump every worker renews its leases first.
        if monotonic() - self._jumped > claims.LEASE.total_seconds():
            recovering.recover_expired()
        sweeping.probe_paused_senders()
        sweeping.expire()
        sweeping.release_stranded()
        limits.forget_old()
        self._swept = monotonic()

    def _claim(self) -> int:
        if self._loop.has_more and monotonic() - self._claimed < _CLAIM_EVERY:
            return 0
        claimed = claims.claim(self._name, limit=_BATCH, but=self._loop.enough(_ENOUGH))
        self._loop.take(claimed)
        self._claimed = monotonic()
        return len(claimed)

    def _patience(self) -> float:
        if self._loop.has_more:
            return _CLAIM_EVERY
        soonest = claims.next_due()
        if soonest is None:
            return _EVENTS_EVERY
        return min(_EVENTS_EVERY, max(0.02, (soonest - utcnow()).total_seconds()))

    def _finish(self) -> None:
        """Stop taking; let final dots be answered, then give back what was not begun."""
        try:
            self._loop.stop(_STOP_WITHIN)
            if (row := db.session.get(Worker, self._name)) is not None:
                row.stopped_at = utcnow()
            db.session.commit()
        except SQLAlchemyError as problem:
            db.session.remove()
            _log.error("end not noted", kind=type(problem).__name__)


def _living() -> int:
    """How many workers there are. Without a lock, and often: one that has just come has its share
    of every sender's connections."""
    reading_only(True)
    try:
        alive = Worker.stopped_at.is_(None) & (Worker.heartbeat_at > lease_now() - _SILENT_AFTER)
        count = db.session.scalar(select(func.count()).select_from(Worker).where(alive))
    finally:
        db.session.rollback()
        reading_only(False)
    return count or 1
