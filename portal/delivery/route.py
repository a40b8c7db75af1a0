"""The way by one sender: its open sessions, and the mail that waits for one of them.

A session is opened in a thread of its own, because look-up, connection, TLS, login and access token
may each take their time; from then on the loop drives it.
"""

import selectors
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from portal import logs
from portal.clock import monotonic
from portal.delivery import certificates, rotating
from portal.delivery.beginning import Begun
from portal.delivery.claims import Claim
from portal.delivery.openers import Openers
from portal.delivery.phases import Ear, PhaseLog
from portal.destinations import Guard
from portal.extensions import db
from portal.settings.effective import Resolved
from portal.smtp.causes import Cause
from portal.smtp.events import Envelope
from portal.smtp.live import LiveSession
from portal.smtp.opening import Opened, Opening
from portal.smtp.values import Bundle, Failure, Phase, SessionFailed

# A server that lets no further session in is left with those that it has, for so many seconds.
_CONTENT_WITH = 60.0
# So soon after a dot the next envelope may follow it; each second without an answer lets one more
# session open; after a while what stands behind it goes elsewhere.
_FOLLOWS_WITHIN = 0.5
_SLOW = 1.0
_A_WHILE, _LONG = 2.0, 30.0
_log = logs.logger("delivery")


@dataclass(eq=False)
class Job:
    """One delivery between its attempt and its answer."""

    begun: Begun
    content: bytes
    phases: PhaseLog = field(default_factory=PhaseLog)
    envelope: Envelope | None = None
    began: float = 0.0
    dotted_at: float | None = None
    was_retried: bool = False

    @property
    def claim(self) -> Claim:
        return self.begun.claim

    @property
    def is_dotted(self) -> bool:
        """Its final dot went out."""
        return self.dotted_at is not None

    def passes(self, other: "Job") -> bool:
        """Whether it goes before the other one, which is less urgent and of the same line."""
        return self.claim.priority < other.claim.priority and self.claim.line == other.claim.line


@dataclass(eq=False)
class Line:
    """A session with the jobs that are on it, in order: at most one that waits for the answer to
    its dot, and the next one that follows it."""

    route: "Route"
    session: LiveSession
    ear: Ear
    jobs: deque[Job] = field(default_factory=deque)
    # What the selector waits for on it.
    watched: int = selectors.EVENT_READ
    is_open: bool = True
    # Somebody's envelope stands on it that goes by another session now.
    is_left: bool = False

    @property
    def spent(self) -> bool:
        """It carried as many mails as the sender allows for a connection, or is one too many."""
        most = self.route.bundle.messages_per_connection
        worn = most is not None and self.session.begun >= most
        return worn or self.is_left or len(self.route.lines) > self.route.most

    @property
    def takes_next(self) -> bool:
        """It is free; or its dot has just gone out and no other session is free. Behind one that
        the server is slow to answer another mail would wait for nothing."""
        if not self.jobs:
            return True
        dotted_at = self.jobs[0].dotted_at
        just_now = dotted_at is not None and monotonic() - dotted_at < _FOLLOWS_WITHIN
        follows = just_now and len(self.jobs) == 1 and self.session.pipelines
        return follows and len(self.route.waiting) > self.route.free

    def leave_behind(self, now: float) -> None:
        """Take the next mail off this session where the dot before it is not answered for long, or
        for a while and another one is free: it goes by that, and this one ends when its answer has
        come."""
        dotted_at = self.jobs[0].dotted_at if len(self.jobs) > 1 else None
        if dotted_at is not None and now - dotted_at > (_A_WHILE if self.route.free else _LONG):
            job = self.jobs.pop()
            job.envelope = None
            job.phases.restart()
            self.is_left = True
            self.route.waiting.appendleft(job)

    def follow(self, job: Job) -> Envelope:
        """Put the job on the session; its envelope is to begin now."""
        bundle = self.route.bundle
        job.envelope = Envelope(
            bundle.mail_from,
            (job.begun.recipient,),
            len(job.content),
            not job.content.isascii(),
        )
        job.began = monotonic()
        if self.session.begun == 0:
            job.phases.take_over(self.ear.phases)
        else:
            job.phases.reused()
        job.phases.peer(self.session)
        self.ear.hear_for(job.phases, at_once=not self.jobs)
        self.jobs.append(job)
        return job.envelope


@dataclass(frozen=True)
class Unopened:
    """A session that did not come about, with what its steps were."""

    failure: Failure
    phases: PhaseLog


class Route:
    """One bundle of one sender. Only the loop's thread touches it; `woken` is called by others.

    `workers`: how many share the connections that the sender allows.
    """

    def __init__(self, sender: Resolved, guard: Guard) -> None:
        self.workers = 1
        self.sender = sender
        self.bundle: Bundle = sender.bundle
        self.waiting: deque[Job] = deque()
        self.lines: list[Line] = []
        # Of all that waits, or waited with it.
        self.least_urgent = 0
        self._guard = guard
        self._opening: Future[tuple[Opened, Ear] | Unopened] | None = None
        self._finished = 0
        self._quiet_since = 0.0
        self._content_until = 0.0

    @property
    def is_opening(self) -> bool:
        return self._opening is not None

    @property
    def over(self) -> bool:
        """Nothing is left of it."""
        return not (self.waiting or self.lines or self._opening)

    @property
    def most(self) -> int:
        """How many sessions this worker may open: its share, and one at least."""
        return max(1, self.bundle.connections // self.workers)

    @property
    def room(self) -> int:
        """How many more letters are worth being written now: the first proves the route; then two
        for each session to follow at once, and as many again, written when half of those are used
        up: what is done for many letters together costs each of them less, and no dot goes out
        without the next envelope behind it."""
        able = self._able
        if able and len(self.waiting) >= 2 * able:
            return 0
        most = 5 * able or 1
        return most - len(self.waiting) - sum(len(line.jobs) for line in self.lines)

    @property
    def free(self) -> int:
        """How many sessions have nothing to do."""
        return sum(not line.jobs for line in self.lines)

    @property
    def _able(self) -> int:
        """How many sessions are worth having: as many as transactions ended, and while one is
        under way one more each second: a mail that the server is slow to answer is no reason why
        the others should wait."""
        slow = 0.0
        if self._finished < self.most and any(line.jobs for line in self.lines):
            slow = (monotonic() - self._quiet_since) / _SLOW
        return min(self._finished + int(slow), self.most)

    def queue(self, job: Job) -> None:
        """Let it wait for a session: behind the others, or where the first of its own line stands
        that is less urgent, which moves on to the place of the next such. So urgent mail goes
        first, and no line takes the place of another."""
        priority = job.claim.priority
        if not self.waiting or priority >= self.least_urgent:
            # As nearly always: there is nothing to go before.
            self.least_urgent = priority
            self.waiting.append(job)
            return
        self.waiting.append(job)
        place = len(self.waiting) - 1
        for number in range(place - 1, -1, -1):
            other = self.waiting[number]
            if job.passes(other):
                self.waiting[number], self.waiting[place] = job, other
                place = number

    def finished(self) -> None:
        """A transaction came to its end: the route works, and further sessions may open."""
        self._finished += 1
        self._quiet_since = monotonic()

    def open_if_wanted(self, app: Flask, openers: Openers, woken: Callable[[], Any]) -> None:
        """Start opening one more session where mail waits that no session will take soon."""
        if self._opening or not self.waiting:
            return
        most = min(self._able + 1, self.most)
        if len(self.lines) >= most or any(not line.jobs for line in self.lines):
            return
        if self.lines and monotonic() < self._content_until:
            return
        self._opening = openers.submit(_open, app, self.sender, self._guard)
        self._opening.add_done_callback(lambda _: woken())

    def opened(self) -> Line | Unopened | None:
        """The session that was being opened, once it is there or has failed."""
        if self._opening is None or not self._opening.done():
            return None
        found = self._opening.result()
        self._opening = None
        if isinstance(found, Unopened):
            self._content_until = monotonic() + _CONTENT_WITH
            return found
        session, ear = found
        line = Line(self, LiveSession(session, reply_timeout=self.bundle.command_timeout), ear)
        self.lines.append(line)
        self._quiet_since = monotonic()
        return line

    def close(self) -> None:
        """End every session; one that is being opened ends as soon as it is there."""
        for line in self.lines:
            line.session.close()
        self.lines.clear()
        if self._opening is not None:
            self._opening.add_done_callback(_discard)


def _open(app: Flask, sender: Resolved, guard: Guard) -> tuple[Opened, Ear] | Unopened:
    ear = Ear()
    with app.app_context():
        try:
            rotated = rotating.of_sender(sender)
            opened = Opening(sender.bundle, guard, ear, rotated).run()
            certificates.note(sender, opened.tls)
            return opened, ear
        except SessionFailed as failed:
            return Unopened(failed.failure, ear.phases)
        except Exception as problem:
            # Whatever it was, it is this sender's alone: its mail is held, and the others go on.
            _log.error("session not opened", sender=sender.bundle.name, exc_info=problem)
            failure = Failure(Phase.CONNECT, Cause.UNREACHABLE, detail=type(problem).__name__)
            return Unopened(failure, ear.phases)
        finally:
            db.session.remove()


def _discard(opening: "Future[tuple[Opened, Ear] | Unopened]") -> None:
    if opening.exception() is None and isinstance(found := opening.result(), tuple):
        found[0].transport.close()
