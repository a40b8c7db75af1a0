"""Large calls, beside those of everyone else: one at a time, and behind the small ones."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ServiceUnavailable

from portal.database import in_a_hurry
from portal.extensions import db
from portal.identity.models import Organization

# So many recipients take a tenth of a second.
LARGE = 1_000
# Of one organization in this process, with the one at work: each that waits keeps a thread.
MOST_AT_ONCE = 3
# In seconds: how long one waits for its turn, and what is told to one that found no room.
_PATIENCE = 10.0
_LATER = 2
_underway: Counter[uuid.UUID | None] = Counter()
_counting = threading.Lock()
_working = threading.Lock()


@contextmanager
def turn(organization: Organization | None, *, is_large: bool) -> Iterator[None]:
    """Around the work of a call; a small one has nothing to wait for. Two large ones in a process
    would each hold the database's write lock for as long as both work.

    Raises 503 where as many of this organization are under way as may be, or none ends in time.
    """
    if not is_large:
        yield
        return
    owner = organization.id if organization else None
    # Nothing stays open while we wait.
    db.session.rollback()
    with _room(owner), _at_work():
        yield


@contextmanager
def _room(owner: uuid.UUID | None) -> Iterator[None]:
    with _counting:
        if _underway[owner] >= MOST_AT_ONCE:
            raise _busy()
        _underway[owner] += 1
    try:
        yield
    finally:
        with _counting:
            _underway[owner] -= 1
            if not _underway[owner]:
                del _underway[owner]


@contextmanager
def _at_work() -> Iterator[None]:
    if not _working.acquire(timeout=_PATIENCE):
        raise _busy()
    in_a_hurry(False)
    try:
        yield
    finally:
        in_a_hurry(True)
        _working.release()


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Other calls with more than {LARGE:,} recipients are under way; nothing was accepted. "
        "Send them one after the other.",
        retry_after=_LATER,
    )
