"""What an organization may see of a mail that the host's sender carried.

It learns whether the platform's server took or refused the mail, with the reply's codes and our own
words for the cause. It never sees the reply's text: a server writes there what it likes, its inner
names and addresses among it, and a name without a dot ("by relay2") looks like any other word.
"""

from dataclasses import dataclass

from portal.delivery.models import Attempt, Delivery, Level
from portal.delivery.suppressions import Suppression


@dataclass(frozen=True)
class Route:
    """Where a mail went, as the reader may see it. None: not known, or not shown."""

    server: str | None
    ip: str | None
    reply: str | None


_NOT_SHOWN = Route(None, None, None)


def route_of(row: Delivery | Attempt | Suppression, *, level: Level | None, at_host: bool) -> Route:
    """The route of a delivery, of one of its attempts, or of a mail that was refused for its
    address. `at_host`: the host's side reads."""
    is_shown = at_host or level is Level.ORGANIZATION
    return Route(row.server, row.ip, row.reply) if is_shown else _NOT_SHOWN
