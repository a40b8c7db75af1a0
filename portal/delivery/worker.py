"""The delivery worker: one process that claims due deliveries and sends them over SMTP.

Each organization is served by its own thread, one at a time, so that a slow server holds up
nobody else's mail. Numbered steps below.
"""

import signal
import threading
import uuid
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import FrameType

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.clock import monotonic, utcnow
from portal.delivery import claims, sending, sweeping
from portal.delivery.claims import Claim
from portal.delivery.models import Delivery, State, Worker
from portal.delivery.sending import Route
from portal.extensions import db
from portal.jobs import Waker

_SWEEP_EVERY = 5.0
_RENEW_EVERY = 15.0
_BATCH = 100
_THREADS = 16
_STOP_WITHIN = 10.0
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
    """The loop. Tests run it in a thread of their own until `stop` is set."""

    def __init__(self, app: Flask, name: str, stop: threading.Event) -> None:
        self._app = app
        self._name = name
        self._stop = stop
        self._busy: dict[uuid.UUID | None, Future[None]] = {}
        self._abandoned: set[uuid.UUID] = set()
        self._started = False
        self._swept = self._renewed = float("-inf")

    def run(self, waker: Waker) -> None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="lane") as pool:
            while not self._stop.is_set():
                try:
                    self._turn(pool, waker)
                except SQLAlchemyError as problem:
                    # The database went away: nothing is claimed or sent until it is back.
                    db.session.remove()
                    _log.error("database unavailable", kind=type(problem).__name__)
                    self._stop.wait(1.0)
            self._finish()

    def _turn(self, pool: ThreadPoolExecutor, waker: Waker) -> None:
        # 1. Say that this worker lives, and keep its leases.
        self._keep_leases()
        # 2. Act on what changed above: settings, organizations, people.
        released = sweeping.handle_events()
        # 3. Take over what a dead worker left, try paused senders, end what is too old.
        self._sweep()
        # 4. Claim what is due, but nothing of an organization that a thread is busy with.
        claimed = self._claim()
        # 5. Hand each organization's mail to a thread of its own.
        for organization_id, lane in _by_organization(claimed).items():
            self._busy[organization_id] = pool.submit(self._deliver_lane, lane)
        # 6. Nothing to do: sleep until a kick, the next due time or the next sweep.
        if not claimed and not released:
            self._rest(waker)

    def _keep_leases(self) -> None:
        if monotonic() - self._renewed < _RENEW_EVERY:
            return
        now = utcnow()
        row = db.session.get(Worker, self._name) or Worker(id=self._name, started_at=now)
        row.heartbeat_at = now
        db.session.add(row)
        claims.renew(self._name, but=self._abandoned)
        self._renewed = monotonic()

    def _sweep(self) -> None:
        if monotonic() - self._swept < _SWEEP_EVERY:
            return
        if not self._started:
            sweeping.release_sealed()
            self._started = True
        claims.recover_expired()
        sweeping.probe_paused_senders()
        sweeping.expire()
        sweeping.release_stranded()
        self._swept = monotonic()

    def _claim(self) -> list[Claim]:
        self._busy = {key: future for key, future in self._busy.items() if not future.done()}
        if len(self._busy) >= _THREADS:
            return []
        claimed = claims.claim(self._name, limit=_BATCH, but=list(self._busy))
        self._abandoned.difference_update(one.delivery_id for one in claimed)
        return claimed

    def _deliver_lane(self, lane: list[Claim]) -> None:
        route = Route()
        with self._app.app_context():
            try:
                for number, claimed in enumerate(lane):
                    if self._stop.is_set():
                        claims.release(lane[number:])
                        break
                    self._deliver_one(claimed, route)
            finally:
                route.close()
                db.session.remove()

    def _deliver_one(self, claimed: Claim, route: Route) -> None:
        try:
            sending.deliver(claimed, route)
        except Exception as problem:
            # Whatever it was, the other mails go on. The lease is not renewed any more: its end
            # brings this one back, as unknown where the final dot may have gone out.
            self._abandoned.add(claimed.delivery_id)
            route.close()
            db.session.remove()
            _log.error("delivery failed", delivery=str(claimed.delivery_id), exc_info=problem)

    def _rest(self, waker: Waker) -> None:
        soonest = db.session.scalar(
            select(Delivery.next_attempt_at)
            .where(Delivery.state.in_((State.QUEUED, State.DEFERRED)))
            .order_by(Delivery.next_attempt_at)
            .limit(1)
        )
        db.session.remove()
        patience = _SWEEP_EVERY
        if self._busy:
            patience = 0.05
        elif soonest is not None:
            patience = min(patience, max(0.02, (soonest - utcnow()).total_seconds()))
        waker.wait(patience)

    def _finish(self) -> None:
        """Stop taking; let running transactions end, then give back what was not begun."""
        wait(list(self._busy.values()), timeout=_STOP_WITHIN)
        try:
            if (row := db.session.get(Worker, self._name)) is not None:
                row.stopped_at = utcnow()
            db.session.commit()
        except SQLAlchemyError as problem:
            db.session.remove()
            _log.error("end not noted", kind=type(problem).__name__)


def _by_organization(claimed: list[Claim]) -> dict[uuid.UUID | None, list[Claim]]:
    lanes: dict[uuid.UUID | None, list[Claim]] = defaultdict(list)
    for one in claimed:
        lanes[one.organization_id].append(one)
    return lanes
