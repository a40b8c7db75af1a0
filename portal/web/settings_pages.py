"""What the pages of mail settings and senders share, at the host and in an organization."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import url_for
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import backlog
from portal.extensions import db
from portal.identity import names
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.kinds import BY_KEY
from portal.settings import effective, locks, overview, senders
from portal.settings.effective import NoSender
from portal.settings.models import Sender
from portal.settings.overview import Health, Route, Use
from portal.settings.scope import Scope
from portal.validation import FieldError, Invalid
from portal.web import guard, words

_ORDINARY = BY_KEY["alert.raised"]
FACT_KINDS = {Health.DELIVERING: "ok", Health.INHERITED: "ok", Health.FAILING: "bad"}


@dataclass(frozen=True)
class Place:
    """Where settings and senders belong: an organization, or the host (None)."""

    organization: Organization | None

    @property
    def scope(self) -> Scope:
        return Scope.of(self.organization)

    @property
    def is_host(self) -> bool:
        return self.organization is None

    @property
    def may_change(self) -> bool:
        wanted = Permission.HOST_SETTINGS_CHANGE if self.is_host else Permission.SETTINGS_CHANGE
        return guard.may(wanted)

    def url(self, page: str, **values: Any) -> str:
        """The address of a page of this place: `url("sender", sender_id=sender.id)`."""
        if self.organization is None:
            return url_for(f"host.{page}", **values)
        return url_for(f"organization.{page}", organization=self.organization.slug, **values)


@dataclass(frozen=True)
class Change:
    """Who saved last, when, and which fields."""

    by: str
    at: datetime
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line in the table of senders."""

    sender: Sender
    version: Any
    health: Health
    is_default: bool
    has_draft: bool


def is_locked(place: Place) -> bool:
    """Whether the host does not allow senders of its own to this organization."""
    return locks.forbids_own_senders(place.scope)


def way(place: Place) -> Mapping[str, Any]:
    """How mail of the place goes out now, for the fact sentence."""
    route: Route = overview.route(place.organization)
    return {
        "route": route,
        "kind": FACT_KINDS.get(route.health, "wait"),
        "waits": _waits(place, route),
        "waiting": (
            backlog.waiting_in(place.organization)
            if place.organization is not None
            else backlog.waiting_for(place.scope)
        ),
        "accepted": backlog.accepted_since(place.scope, utcnow() - timedelta(days=1)),
    }


def _waits(place: Place, route: Route) -> bool:
    """Whether the sender fails, and no other one takes over."""
    if route.sender is None or not route.sender.consecutive_failures:
        return False
    found = effective.routes(place.organization, _ORDINARY)
    return isinstance(found, NoSender) or all(one.consecutive_failures for one in found)


def rows(place: Place) -> list[Row]:
    """The senders of the place, the default first."""
    default_id = effective.settings_of(place.scope).default_sender_id
    found = [
        Row(
            sender=sender,
            version=senders.shown_version(sender),
            health=overview.health_of(sender),
            is_default=sender.id == default_id,
            has_draft=senders.has_draft(sender),
        )
        for sender in senders.all_of(place.scope)
    ]
    return sorted(found, key=lambda row: not row.is_default)


def uses() -> dict[str, list[Use]]:
    """Organizations by how they stand to the host's defaults. A suspended one counts as off;
    one whose own senders fail stands in two lists."""
    found: dict[str, list[Use]] = {"inherit": [], "own": [], "off": [], "failing": []}
    for use in overview.uses_of_host():
        found["off" if use.is_suspended else use.mode.value].append(use)
        if use.health is Health.FAILING:
            found["failing"].append(use)
    return found


def last_change(place: Place, object_type: str, object_id: object) -> Change | None:
    """The newest entry of the audit log about the thing, with the name of who did it."""
    entry = next(iter(_entries(place, object_type, object_id, 1)), None)
    if entry is None:
        return None
    fields = tuple(words.own_words(field) for field in entry.changes)
    return Change(_name(entry), entry.at, fields)


def who_changed(place: Place, sender_id: uuid.UUID, field: str) -> str | None:
    """The name of who last changed a field of a sender, where the newest entries tell."""
    entries = _entries(place, "sender", sender_id, 50)
    entry = next((entry for entry in entries if field in entry.changes), None)
    return _name(entry) if entry else None


def renamed(invalid: Invalid, fields: Mapping[str, str]) -> Invalid:
    """The same refusals under the names that the form's fields have."""
    return Invalid(
        [
            FieldError(fields.get(error.field, error.field), error.message)
            for error in invalid.errors
        ]
    )


def _entries(
    place: Place, object_type: str, object_id: object, newest: int
) -> Sequence[AuditEntry]:
    return db.session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.organization_id == place.scope.organization_id,
            AuditEntry.object_type == object_type,
            AuditEntry.object_id == str(object_id),
        )
        .order_by(AuditEntry.id.desc())
        .limit(newest)
    ).all()


def _name(entry: AuditEntry) -> str:
    known = names.of_users([entry.actor_id]) | names.of_tokens([entry.actor_id])
    return known.get(entry.actor_id or "") or words.own_words(entry.actor_type)
