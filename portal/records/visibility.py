"""What an organization may see of a mail that the host's sender carried.

It learns that the platform's server took or refused the mail, never that server's name or
address; inside a reply both are replaced.
"""

import re
from dataclasses import dataclass

from portal.delivery.models import Attempt, Delivery, Level
from portal.delivery.suppressions import Suppression

PLATFORM_SERVER = "the platform's server"


@dataclass(frozen=True)
class Route:
    """Where a mail went, as the reader may see it. None: not known, or not shown."""

    server: str | None
    ip: str | None
    reply: str | None


def route_of(row: Delivery | Attempt | Suppression, *, level: Level | None, at_host: bool) -> Route:
    """The route of a delivery, of one of its attempts, or of a mail that was refused for its
    address. `at_host`: the host's side reads."""
    if at_host or level in (None, Level.ORGANIZATION):
        return Route(row.server, row.ip, row.reply)
    return Route(None, None, _without(row.reply, row.server, row.ip))


def _without(reply: str | None, *names: str | None) -> str | None:
    for name in names:
        if reply and name:
            reply = re.sub(re.escape(name), PLATFORM_SERVER, reply, flags=re.IGNORECASE)
    return reply
