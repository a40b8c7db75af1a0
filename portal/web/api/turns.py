"""Large calls, beside those of everyone else: few at once, and behind the small ones."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ServiceUnavailable

from portal.database import in_a_hurry
from portal.identity.models import Organization

# Of one organization in this process, which answers as many calls at once as it has threads.
MOST_AT_ONCE = 3
# So many recipients take a tenth of a second.
LARGE = 1_000
_SECONDS = 2
_running: Counter[uuid.UUID | None] = Counter()
_changing = threading.Lock()


@contextmanager
def turn(organization: Organization | None, *, is_large: bool) -> Iterator[None]:
    """Around the writing transaction of a call. Raises 503 where as many large ones of this
    organization are under way as may be."""
    if not is_large:
        yield
        return
    owner = organization.id if organization else None
    _enter(owner)
    in_a_hurry(False)
    try:
        yield
    finally:
        in_a_hurry(True)
        _leave(owner)


def _enter(owner: uuid.UUID | None) -> None:
    with _changing:
        if _running[owner] >= MOST_AT_ONCE:
            raise ServiceUnavailable(
                "Several large calls of this organization are under way; nothing was accepted. "
                "Send them one after the other.",
                retry_after=_SECONDS,
            )
        _running[owner] += 1


def _leave(owner: uuid.UUID | None) -> None:
    with _changing:
        _running[owner] -= 1
        if not _running[owner]:
            del _running[owner]
