"""What a worker has claimed and not begun yet: the mail of each organization in a queue of its own,
begun in turn as far as the routes have room, and written once that was committed."""

import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.database import reading_only
from portal.delivery import sending, settling
from portal.delivery.claims import Claim, LeaseLost
from portal.delivery.route import Job, Route
from portal.delivery.sending import Unwritten, Writer
from portal.extensions import db
from portal.settings.effective import Resolved
from portal.smtp.values import Bundle

# So many letters are written in one turn; meanwhile no answer is read.
_AT_ONCE = 32
_log = logs.logger("delivery")

# What the next commit writes down, and for which claim.
Change = tuple[Claim, Callable[[], None]]
_RouteKey = tuple[uuid.UUID, uuid.UUID, Bundle]


class Intake:
    """Not thread-safe. `begin` adds to the caller's transaction; after the commit `begun` gives
    what is to be written, after a failed one call `doubt`."""

    def __init__(self) -> None:
        self._queues: dict[uuid.UUID | None, deque[Claim]] = defaultdict(deque)
        self._routes: dict[_RouteKey, Route] = {}
        self._last_route: dict[uuid.UUID | None, Route] = {}
        self._writer = Writer()
        self._begun: list[tuple[Claim, Resolved | None]] = []
        self._unwritten: list[tuple[Claim, Resolved]] = []
        # Whether their attempts were counted nobody knows: the commit failed, or seemed to.
        self._in_doubt: set[uuid.UUID] = set()
        self._trying: Claim | None = None

    @property
    def routes(self) -> list[Route]:
        return list(self._routes.values())

    @property
    def busy(self) -> bool:
        return bool(self._unwritten) or any(self._queues.values())

    def counts(self) -> dict[uuid.UUID | None, int]:
        """How much of each organization waits here."""
        return {key: len(queue) for key, queue in self._queues.items() if queue}

    def take(self, claimed: Claim) -> None:
        self._queues[claimed.organization_id].append(claimed)

    def empty(self) -> list[Claim]:
        """Everything that was not begun, to be given back."""
        left = [claimed for queue in self._queues.values() for claimed in queue]
        self._queues.clear()
        return left

    def may_begin(self) -> bool:
        return bool(self._unwritten) or any(
            queue and self._room(key, {}) > 0 for key, queue in self._queues.items()
        )

    def begin(self) -> None:
        """Begin the next of each organization in turn: so none waits behind another's backlog."""
        room: dict[Route, int] = {}
        taken: Counter[uuid.UUID | None] = Counter()
        found_way: Counter[uuid.UUID | None] = Counter()
        order = deque(key for key, queue in self._queues.items() if queue)
        while order and len(self._begun) < _AT_ONCE:
            key = order.popleft()
            route = self._last_route.get(key)
            left = self._room(key, room) - (found_way[key] if route is None else 0)
            if taken[key] == len(self._queues[key]) or left <= 0:
                continue
            resolved = self._begin_one(self._queues[key][taken[key]])
            taken[key] += 1
            found_way[key] += resolved is not None
            if route is not None and resolved is not None:
                room[route] = left - 1
            order.append(key)

    def begun(self) -> list[tuple[Claim, Resolved]]:
        """What was begun in the transaction that has been committed now."""
        begun, self._begun = self._begun, []
        for claimed, _ in begun:
            self._queues[claimed.organization_id].popleft()
            self._in_doubt.discard(claimed.delivery_id)
        if begun:
            self._queues = defaultdict(deque, _rotated(self._queues))
        return [(claimed, resolved) for claimed, resolved in begun if resolved is not None]

    def doubt(self) -> None:
        """The commit failed: what was begun is begun again."""
        self._in_doubt |= {claimed.delivery_id for claimed, _ in self._begun}
        self._begun, self._trying = [], None

    def poisoned(self) -> set[uuid.UUID]:
        """Something unforeseen happened: drop the claim that it happened to, if it was one here."""
        poison, self._trying = self._trying, None
        self.doubt()
        if poison is None:
            return set()
        self._queues[poison.organization_id].remove(poison)
        return {poison.delivery_id}

    def write(self, begun: Sequence[tuple[Claim, Resolved]]) -> list[Change]:
        """Write the letters and let each wait on its route; what can't be is a change to commit."""
        pending = [*self._unwritten, *begun]
        self._unwritten = []
        if not pending:
            return []
        reading_only(True)
        try:
            changes = [self._write_one(claimed, resolved) for claimed, resolved in pending]
        finally:
            db.session.remove()
            reading_only(False)
        return [change for change in changes if change is not None]

    def drop_if_over(self, route: Route) -> None:
        """Forget a route that nothing is left of, with the secrets in its bundle."""
        if route.over:
            self._routes = {key: one for key, one in self._routes.items() if one is not route}
            self._last_route = {
                key: one for key, one in self._last_route.items() if one is not route
            }

    def _room(self, key: uuid.UUID | None, room: dict[Route, int]) -> int:
        route = self._last_route.get(key)
        return 1 if route is None else room.setdefault(route, route.room)

    def _begin_one(self, claimed: Claim) -> Resolved | None:
        self._trying = claimed
        if claimed.delivery_id in self._in_doubt:
            settling.forget_open_attempt(claimed)
        resolved = sending.begin(claimed)
        self._begun.append((claimed, resolved))
        self._trying = None
        return resolved

    def _write_one(self, claimed: Claim, resolved: Resolved) -> Change | None:
        try:
            written = self._writer.write(claimed, resolved)
            route = self._route(claimed, resolved)
        except LeaseLost:
            return claimed, lambda: settling.note_lost_lease(claimed)
        except SQLAlchemyError as problem:
            db.session.remove()
            _log.error("database unavailable", kind=type(problem).__name__)
            self._unwritten.append((claimed, resolved))
            return None
        self._last_route[claimed.organization_id] = route
        if isinstance(written, Unwritten):
            return claimed, lambda: settling.not_written(claimed, written.problem)
        route.waiting.append(Job(claimed, written))
        return None

    def _route(self, claimed: Claim, resolved: Resolved) -> Route:
        key = (resolved.sender_id, resolved.version_id, resolved.bundle)
        if key not in self._routes:
            self._routes[key] = Route(resolved, sending.guard_of(resolved, claimed))
        return self._routes[key]


def _rotated(
    queues: dict[uuid.UUID | None, deque[Claim]],
) -> list[tuple[uuid.UUID | None, deque[Claim]]]:
    """The one that came first comes last in the next turn; empty queues go."""
    kept = [(key, queue) for key, queue in queues.items() if queue]
    return kept[1:] + kept[:1]
