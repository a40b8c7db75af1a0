"""The loop: the sessions of many senders, driven by one thread that waits for nothing but all of
them at once.

A turn reads what the servers said, writes it down in one commit together with the marks of the
final dots and the attempts that come next, and only then lets those dots and envelopes go.
"""

import selectors
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask

from portal import logs
from portal.clock import monotonic
from portal.database import is_away
from portal.delivery import claims, settling
from portal.delivery.beginning import Begun
from portal.delivery.claims import Claim
from portal.delivery.intake import Intake
from portal.delivery.lanes import Enough
from portal.delivery.openers import Openers
from portal.delivery.route import Job, Line, Route, Unopened
from portal.delivery.settling import Answer, Change, GivenBack, LostLease
from portal.extensions import db
from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.events import ContentWanted, Ended, Event, Finished
from portal.smtp.values import Accepted, Outcome, Refused

_STORE_AGAIN = 0.5
# What the database refused to store is tried again so often, and given up after so long: then its
# lease runs out, and its outcome is unknown.
_STORE_REFUSED_AGAIN = 1.0
_KEEP_REFUSED = 600.0
_log = logs.logger("delivery")


class Loop:
    """Takes claims and sends them. Not thread-safe; expects an application context.

    Once `stop` is set no letter is begun and no content given: call `stop` then.
    `abandoned`: deliveries that something unforeseen happened to; their leases must run out.
    """

    def __init__(self, app: Flask, stop: threading.Event | None = None) -> None:
        self.abandoned: set[uuid.UUID] = set()
        self._app = app
        self._openers = Openers()
        self._selector = selectors.DefaultSelector()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._intake = Intake()
        # What the next commit writes down, and whose dots go out after it.
        self._changes: list[Change] = []
        self._dots: list[Line] = []
        self._refused: list[tuple[Change, float]] = []
        self._tried_again = 0.0
        self._stop = stop or threading.Event()

    @property
    def busy(self) -> bool:
        """Something is in hand: claimed, on its way, or answered and not written down."""
        return bool(
            self._intake.busy
            or self._changes
            or self._dots
            or self._refused
            or any(
                route.waiting or route.is_opening or any(line.jobs for line in route.lines)
                for route in self._intake.routes
            )
        )

    @property
    def has_more(self) -> bool:
        """Deliveries wait here for their turn."""
        return self._intake.has_more

    def enough(self, most: int) -> Enough:
        """Of what there is so much here that waits for its turn, or more."""
        return self._intake.enough(most)

    def take(self, claimed: Iterable[Claim]) -> None:
        for one in claimed:
            self.abandoned.discard(one.delivery_id)
            self._intake.take(one)

    def share_with(self, workers: int) -> None:
        """How many workers there are, this one among them: they share a sender's connections."""
        self._intake.share_with(workers)

    def settings_changed(self) -> None:
        """Ask again by which sender mail goes: somebody may have changed that."""
        self._intake.settings_changed()

    def turn(self, patience: float = 0.0, ears: Sequence[Any] = ()) -> None:
        """One turn; waits at most `patience` seconds for a server, or for one of the `ears`."""
        # 1. Wait until a server says something, time is up, or somebody calls.
        ready = self._wait(patience, ears)
        # 2. Hear what the servers said, and which sessions have come about.
        for line in ready:
            if line.session.unsent:
                self._on(line, line.session.flush)
            self._on(line, line.session.read)
        self._look_at_the_clock()
        self._greet()
        # 3. One commit: the answers, the marks of the dots that go next, the attempts that begin.
        self._store_what_was_refused()
        marked, begun = self._commit()
        # 4. Now the dots may go, and behind each the next envelope.
        for line in marked:
            line.jobs[0].dotted_at = monotonic()
            self._on(line, line.session.dot)
            self._begin_next(line)
            self._on(line, line.session.flush)
        # 5. Write the letters of what has begun, and hand them to their routes.
        self._changes += self._intake.write(begun)
        # 6. Use every session that is free, and open more where mail waits.
        for route in self._intake.routes:
            for line in list(route.lines):
                self._begin_next(line)
            route.open_if_wanted(self._app, self._openers, self._ring)
            self._intake.drop_if_over(route)

    def stop(self, within: float) -> None:
        """Give back everything but what has its final dot out; wait for those answers."""
        self._stop.set()
        until = monotonic() + within
        given_back = self._intake.empty()
        for route in self._intake.routes:
            self._give_back_waiting(route)
        for line in self._lines():
            # What stands behind a dot need not wait for its answer.
            while len(line.jobs) > 1:
                self._give_back(line.jobs.pop())
        while True:
            waiting = [line for line in self._lines() if any(job.is_dotted for job in line.jobs)]
            for line in self._lines():
                if line not in waiting and line not in self._dots:
                    self._drop(line)
            left = self._changes or self._dots or self._refused or waiting
            if not left or monotonic() > until:
                break
            self.turn(0.2)
        self.close()
        claims.release(given_back)

    def close(self) -> None:
        """Drop every session as it is."""
        for line in list(self._lines()):
            self._forget(line)
        for route in self._intake.routes:
            route.close()
        self._openers.close()
        self._selector.close()
        self._ear.close()
        self._bell.close()

    def _lines(self) -> list[Line]:
        return [line for route in self._intake.routes for line in route.lines]

    def _ring(self) -> None:
        """Called by the threads of the pool."""
        try:
            self._bell.send(b"o")
        except OSError:
            return

    # Hearing

    def _wait(self, patience: float, ears: Sequence[Any]) -> list[Line]:
        deadlines = [line.session.deadline for line in self._lines()]
        soonest = min(deadlines, default=float("inf")) - monotonic()
        if self._may_begin() or self._changes:
            patience = 0.0
        for ear in ears:
            self._selector.register(ear, selectors.EVENT_READ)
        try:
            ready = self._selector.select(max(0.0, min(patience, soonest)))
        finally:
            for ear in ears:
                self._selector.unregister(ear)
        if any(key.fileobj is self._ear for key, _ in ready):
            self._ear.recv(4096)
        return [key.data for key, _ in ready if isinstance(key.data, Line)]

    def _look_at_the_clock(self) -> None:
        now = monotonic()
        for line in self._lines():
            if line.session.deadline <= now:
                self._on(line, line.session.expire)
            elif not self._stop.is_set():
                line.leave_behind(now)

    def _greet(self) -> None:
        for route in self._intake.routes:
            found = route.opened()
            if isinstance(found, Line):
                self._selector.register(found.session, selectors.EVENT_READ, found)
                if self._stop.is_set():
                    self._drop(found)
            elif isinstance(found, Unopened) and not route.lines and route.waiting:
                # The first one says why; nobody else tried, and nothing of theirs is burnt.
                job = route.waiting.popleft()
                job.phases.take_over(found.phases)
                self._settle(job, Refused(found.failure))
                self._give_back_waiting(route)

    def _on(self, line: Line, act: Callable[[], Sequence[Event]]) -> None:
        """What a session does, and what follows. Whatever goes wrong with one, the others go on."""
        if not line.is_open:
            return
        try:
            self._happened(line, act())
        except Exception as problem:
            _log.error("session failed", sender=line.route.bundle.name, exc_info=problem)
            # Their leases are not renewed any more: what has its final dot out becomes unknown.
            self.abandoned.update(job.claim.delivery_id for job in line.jobs)
            self._drop(line, give_back=False)

    def _happened(self, line: Line, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, ContentWanted):
                # A server that goes on talking behind its 354 has ended the session already.
                if line.session.usable:
                    self._give_content(line)
            elif isinstance(event, Finished):
                self._finished(line, event)
            elif isinstance(event, Ended):
                self._forget(line)
        if line.is_open:
            if not line.session.usable:
                self._forget(line)
            else:
                self._watch(line)

    def _watch(self, line: Line) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.session.unsent else 0)
        if line.watched != wanted:
            line.watched = wanted
            self._selector.modify(line.session, wanted, line)

    def _give_content(self, line: Line) -> None:
        if self._stop.is_set() or not line.jobs:
            self._drop(line)
            return
        job = line.jobs[0]
        events = line.session.content(job.content)
        self._dots.append(line)
        self._happened(line, events)

    def _finished(self, line: Line, event: Finished) -> None:
        job = next((job for job in line.jobs if job.envelope is event.envelope), None)
        if job is None:
            # It was taken off this session, and goes by another.
            return
        line.jobs.remove(job)
        if line in self._dots and not line.jobs:
            self._dots.remove(line)
        if event.untouched and line.session.begun > 1 and not job.was_retried:
            # The session had died while it was idle; nothing was handed over.
            job.was_retried, job.envelope = True, None
            job.phases.restart()
            line.route.waiting.appendleft(job)
            return
        outcome = event.outcomes[0]
        self._settle(job, outcome)
        if not isinstance(outcome, Accepted):
            job.phases.failed(outcome.failure)
        if isinstance(outcome, Refused) and classify(outcome.failure) is FailureClass.ROUTE_FAULT:
            # The sender is paused now: what waited for it asks again which way to go.
            self._give_back_waiting(line.route)
        else:
            line.route.finished()

    # Writing down

    def _settle(self, job: Job, outcome: Outcome) -> None:
        milliseconds = int((monotonic() - job.began) * 1000) if job.began else 0
        sender_id = job.begun.sender.sender_id
        self._changes.append(Answer(job.claim, outcome, sender_id, milliseconds, job.phases))

    def _give_back_waiting(self, route: Route) -> None:
        while route.waiting:
            self._give_back(route.waiting.popleft())

    def _give_back(self, job: Job) -> None:
        self._changes.append(GivenBack(job.claim))

    def _commit(self) -> tuple[list[Line], list[Begun]]:
        """One transaction. While the database is away, answers are kept and nothing goes out."""
        dots = [line for line in self._dots if not line.session.unsent]
        if not (self._changes or dots or self._may_begin() or self._intake.has_old_note):
            return [], []
        try:
            settling.store(self._changes)
            marked = claims.mark_dots([line.jobs[0].claim for line in dots])
            if not self._stop.is_set():
                self._intake.begin()
            db.session.commit()
        except Exception as problem:
            db.session.remove()
            if is_away(problem):
                self._intake.doubt()
                _log.error("answers not stored yet", kind=type(problem).__name__)
                time.sleep(_STORE_AGAIN)
            else:
                self.abandoned |= self._intake.poisoned()
                self._one_by_one(problem)
            return [], []
        self._changes = []
        self._dots = [line for line in self._dots if line not in dots]
        lost = [line for line in dots if line.jobs[0].claim not in marked]
        for line in lost:
            _log.warning("lease lost", delivery=str(line.jobs[0].claim.delivery_id))
            self._changes.append(LostLease(line.jobs[0].claim))
            # Nor is it kept: where nobody took it over, its lease must run out.
            self.abandoned.update(job.claim.delivery_id for job in line.jobs)
            self._drop(line, give_back=False)
        return [line for line in dots if line not in lost], self._intake.begun()

    def _one_by_one(self, cause: Exception) -> None:
        """Something unforeseen: find out whose it is, and store the others."""
        _log.error("turn not stored", exc_info=cause)
        changes, self._changes = self._changes, []
        for change in changes:
            self._store_alone(change, since=monotonic())

    def _store_what_was_refused(self) -> None:
        if self._refused and monotonic() - self._tried_again > _STORE_REFUSED_AGAIN:
            self._tried_again = monotonic()
            refused, self._refused = self._refused, []
            for change, since in refused:
                self._store_alone(change, since=since)

    def _store_alone(self, change: Change, *, since: float) -> None:
        """An answer that the database does not take is kept for a while: there is no other."""
        try:
            settling.store([change])
            db.session.commit()
        except Exception as problem:
            db.session.remove()
            delivery_id = change.claim.delivery_id
            if isinstance(change, Answer) and monotonic() - since < _KEEP_REFUSED:
                self._refused.append((change, since))
            elif is_away(problem):
                self._changes.append(change)
            else:
                self.abandoned.add(delivery_id)
            _log.error("delivery not stored", delivery=str(delivery_id), exc_info=problem)

    # Sending

    def _may_begin(self) -> bool:
        return self._intake.may_begin() and not self._stop.is_set()

    def _begin_next(self, line: Line) -> None:
        route = line.route
        if not line.is_open:
            return
        if line.spent and not line.jobs:
            self._forget(line)
            return
        if self._stop.is_set():
            return
        if not (line.takes_next and route.waiting) or line.spent or not line.session.usable:
            return
        if not line.jobs:
            # A server that closed while nothing went on says so now.
            self._on(line, line.session.read)
            if not line.is_open:
                return
        envelope = line.follow(route.waiting.popleft())
        self._on(line, lambda: line.session.begin(envelope))

    def _drop(self, line: Line, *, give_back: bool = True) -> None:
        """Close a session in the middle; what was on it and has no dot out may be given back."""
        jobs = list(line.jobs)
        line.jobs.clear()
        self._forget(line)
        if give_back:
            for job in jobs:
                self._give_back(job)

    def _forget(self, line: Line) -> None:
        if line in self._dots:
            self._dots.remove(line)
        if line.is_open:
            line.is_open = False
            line.route.lines.remove(line)
            self._selector.unregister(line.session)
            line.session.close()
