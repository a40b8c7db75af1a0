"""What a worker has claimed and not begun yet: each line in a queue of its own,
begun in turn as far as the routes have room, and written once that was committed."""

import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from portal import outage
from portal.clock import monotonic
from portal.database import reading_only
from portal.delivery import attempts, claims
from portal.delivery.beginning import Beginning, Begun
from portal.delivery.claims import Claim
from portal.delivery.lanes import Enough, Line
from portal.delivery.route import Job, Route
from portal.delivery.settling import Change, NotWritten
from portal.delivery.ways import Ways
from portal.delivery.writing import Unwritten, Writer
from portal.extensions import db
from portal.smtp.values import Bundle

# So many letters are written in one turn; meanwhile no answer is read.
_AT_ONCE = 64
# The note of what is being written goes with the next commit, or after so many seconds by itself.
_NOTE_LASTS = 1.0

_RouteKey = tuple[uuid.UUID, uuid.UUID, Bundle]


class Intake:
    """Not thread-safe. `begin` adds to the caller's transaction; after the commit `begun` gives
    what is to be written, after a failed one call `doubt`."""

    def __init__(self) -> None:
        self._queues: dict[Line, deque[Claim]] = defaultdict(deque)
        self._routes: dict[_RouteKey, Route] = {}
        self._last_route: dict[Line, Route] = {}
        self._ways = Ways()
        self._writer = Writer()
        self._begun: list[tuple[Claim, Begun | None]] = []
        self._unwritten: list[Begun] = []
        # Whether their attempts were counted nobody knows: the commit failed, or seemed to.
        self._in_doubt: set[uuid.UUID] = set()
        self._planned: list[Claim] = []
        self._trying: Claim | None = None
        # How many are begun one by one, because one of a lot could not be stored.
        self._careful = 0
        self._worker = ""
        self._workers = 1
        # Whose letters the database says are being written; None: it is not known.
        self._noted: frozenset[uuid.UUID] | None = frozenset()
        self._written_at = 0.0

    @property
    def routes(self) -> list[Route]:
        return list(self._routes.values())

    @property
    def busy(self) -> bool:
        return bool(self._unwritten) or self.has_more

    @property
    def has_more(self) -> bool:
        """Something is claimed and not begun."""
        return any(self._queues.values())

    @property
    def has_old_note(self) -> bool:
        """Nothing is being written, and nothing was stored since the database says otherwise."""
        return (
            self._noted != frozenset()
            and not self._unwritten
            and monotonic() - self._written_at > _NOTE_LASTS
        )

    def enough(self, most: int) -> Enough:
        """Of what there is so much here, or more."""
        queues = self._queues.items()
        return {key: queue[most - 1].priority for key, queue in queues if len(queue) >= most}

    def take(self, claimed: Claim) -> None:
        """Urgent ones stand before the others of their line."""
        self._worker = claimed.worker
        queue = self._queues[claimed.line]
        place = len(queue)
        while place and queue[place - 1].priority > claimed.priority:
            place -= 1
        queue.insert(place, claimed)

    def share_with(self, workers: int) -> None:
        self._workers = workers
        for route in self.routes:
            route.workers = workers

    def settings_changed(self) -> None:
        self._ways.forget()

    def empty(self) -> list[Claim]:
        """Everything that was not begun, to be given back."""
        left = [claimed for queue in self._queues.values() for claimed in queue]
        self._queues.clear()
        return left

    def may_begin(self) -> bool:
        return bool(self._unwritten) or any(
            queue and (self._room(key) > 0 or self._passes(queue[0]))
            for key, queue in self._queues.items()
        )

    def begin(self) -> None:
        """Begin the next of each line in turn: so none waits behind another's backlog."""
        self._planned = self._plan()
        if self._planned:
            self._begin_all(self._planned)
        doing = frozenset(one.claim.delivery_id for one in self._unwritten)
        doing |= {claimed.delivery_id for claimed, begun in self._begun if begun is not None}
        if doing != self._noted:
            claims.note_doing(self._worker, doing)
        self._noted = doing

    def begun(self) -> list[Begun]:
        """What was begun in the transaction that has been committed now."""
        begun, self._begun = self._begun, []
        for claimed, _ in begun:
            self._queues[claimed.line].remove(claimed)
            self._in_doubt.discard(claimed.delivery_id)
        if begun:
            self._queues = defaultdict(deque, _rotated(self._queues))
        self._planned = []
        return [one for _, one in begun if one is not None]

    def doubt(self) -> None:
        """The commit failed: what was begun is begun again."""
        self._in_doubt |= {claimed.delivery_id for claimed, _ in self._begun}
        self._begun, self._planned = [], []
        self._trying = self._noted = None

    def poisoned(self) -> set[uuid.UUID]:
        """Something unforeseen happened: drop the claim that it happened to, if it was one here."""
        poison = self._trying
        if poison is None and len(self._planned) == 1:
            poison = self._planned[0]
        elif poison is None:
            self._careful = len(self._planned)
        self.doubt()
        if poison is None:
            return set()
        self._queues[poison.line].remove(poison)
        return {poison.delivery_id}

    def write(self, begun: Sequence[Begun]) -> list[Change]:
        """Write the letters and let each wait on its route; what can't be is a change to store."""
        pending = [*self._unwritten, *begun]
        self._unwritten = []
        if not pending:
            return []
        reading_only(True)
        try:
            changes = [self._write_one(one) for one in pending]
        finally:
            db.session.remove()
            reading_only(False)
            self._written_at = monotonic()
        return [change for change in changes if change is not None]

    def drop_if_over(self, route: Route) -> None:
        """Forget a route that nothing is left of, with the secrets in its bundle."""
        if route.over:
            self._routes = {key: one for key, one in self._routes.items() if one is not route}
            self._last_route = {
                key: one for key, one in self._last_route.items() if one is not route
            }

    def _room(self, key: Line) -> int:
        route = self._last_route.get(key)
        return 1 if route is None else route.room

    def _passes(self, head: Claim) -> bool:
        """Whether it is begun where its route has no room: less urgent mail of its line waits."""
        route = self._last_route.get(head.line)
        if route is None or head.priority >= route.least_urgent:
            return False
        first = next((job for job in route.waiting if job.claim.line == head.line), None)
        return first is not None and first.claim.priority > head.priority

    def _plan(self) -> list[Claim]:
        """What to begin now. A suspect goes alone: if it ends the worker, nothing else did."""
        heads = [(key, queue[0]) for key, queue in self._queues.items() if queue]
        for key, head in heads:
            if head.is_suspect and self._room(key) > 0:
                return [head]
        plan: list[Claim] = []
        room: dict[Route, int] = {}
        taken: Counter[Line] = Counter()
        order = deque(key for key, _ in heads)
        most = 1 if self._careful else _AT_ONCE
        self._careful = max(0, self._careful - 1)
        while order and len(plan) < most:
            key = order.popleft()
            queue, route = self._queues[key], self._last_route.get(key)
            if taken[key] == len(queue) or queue[taken[key]].is_suspect:
                continue
            if route is not None:
                if route not in room:
                    room[route] = route.room
                if room[route] <= 0 and (taken[key] or not self._passes(queue[0])):
                    continue
                room[route] -= 1
            plan.append(queue[taken[key]])
            taken[key] += 1
            order.append(key)
        return plan

    def _begin_all(self, plan: Sequence[Claim]) -> None:
        if self._in_doubt:
            attempts.uncount_open([one for one in plan if one.delivery_id in self._in_doubt])
        beginning = Beginning(plan, self._ways)
        found_way: set[Line] = set()
        for claimed in plan:
            key = claimed.line
            if key in found_way and key not in self._last_route:
                # One letter proves an unknown route; the others may as well stay where they are.
                continue
            self._trying = claimed
            begun = beginning.begin(claimed)
            self._trying = None
            self._begun.append((claimed, begun))
            if begun is not None:
                found_way.add(key)
        lost = beginning.store()
        self._begun = [
            (claimed, None if claimed in lost else begun) for claimed, begun in self._begun
        ]

    def _write_one(self, begun: Begun) -> Change | None:
        try:
            written = self._writer.write(begun)
            route = self._route(begun)
        except SQLAlchemyError as problem:
            db.session.remove()
            outage.here.goes_on(problem)
            self._unwritten.append(begun)
            return None
        self._last_route[begun.claim.line] = route
        if isinstance(written, Unwritten):
            return NotWritten(begun.claim, written.problem)
        route.queue(Job(begun, written))
        return None

    def _route(self, begun: Begun) -> Route:
        sender = begun.sender
        last = self._last_route.get(begun.claim.line)
        if last is not None and last.sender is sender:
            return last
        key = (sender.sender_id, sender.version_id, sender.bundle)
        if key not in self._routes:
            self._routes[key] = Route(sender, begun.guard)
            self._routes[key].workers = self._workers
        return self._routes[key]


def _rotated(
    queues: dict[Line, deque[Claim]],
) -> list[tuple[Line, deque[Claim]]]:
    """The one that came first comes last in the next turn; empty queues go."""
    kept = [(key, queue) for key, queue in queues.items() if queue]
    return kept[1:] + kept[:1]
