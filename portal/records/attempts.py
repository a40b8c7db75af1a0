"""The attempts of a sending record as a reader may see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.delivery.models import Attempt, Delivery, Level
from portal.extensions import db
from portal.records.visibility import Route, route_of
from portal.settings.models import SenderVersion
from portal.smtp import coarse

_NOWHERE = Route(None, None, None)


@dataclass(frozen=True)
class ShownAttempt:
    """One attempt as far as the reader may know: where it went, why it failed, how far it came
    (`phase`, and all of them with their times) and how long it took."""

    attempt: Attempt
    route: Route
    cause: str | None
    phases: Sequence[Mapping[str, Any]]
    phase: str | None
    ms: int | None


def shown(delivery: Delivery, *, at_host: bool) -> list[ShownAttempt]:
    """The attempts, the newest first. `at_host`: the host's side reads."""
    own = set() if at_host else _own_servers(delivery)
    rows = sorted(delivery.attempts, key=lambda attempt: attempt.number, reverse=True)
    return [_shown(row, _level(row, delivery, own), at_host=at_host) for row in rows]


def _shown(attempt: Attempt, level: Level | None, *, at_host: bool) -> ShownAttempt:
    if not at_host and coarse.hides(attempt.cause):
        cause = coarse.told(attempt.cause, attempt.phase)
        return ShownAttempt(attempt, _NOWHERE, cause, (), None, None)
    route = route_of(attempt, level=level, at_host=at_host)
    return ShownAttempt(attempt, route, attempt.cause, attempt.phases, attempt.phase, attempt.ms)


def _level(attempt: Attempt, delivery: Delivery, own: set[str]) -> Level | None:
    """Whose sender this attempt went by. An organization may have left the host's sender between
    two attempts: what is not surely its own server counts as the host's."""
    if delivery.level is not Level.ORGANIZATION:
        return delivery.level
    is_own = attempt.server in own or attempt.server == delivery.server
    return Level.ORGANIZATION if is_own else Level.HOST


def _own_servers(delivery: Delivery) -> set[str]:
    if delivery.organization_id is None:
        return set()
    rows = select(SenderVersion.server).where(
        SenderVersion.organization_id == delivery.organization_id
    )
    return set(db.session.scalars(rows.distinct()))
