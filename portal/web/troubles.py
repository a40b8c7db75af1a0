"""What stands on every page of a place while its mail does not flow: for those who can mend it,
each sender that fails; for everybody of an organization, that it is suspended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, g

from portal.identity.models import Organization, OrganizationState
from portal.identity.policy import Permission
from portal.settings import effective, overview
from portal.settings.models import Mode, Sender
from portal.web import guard
from portal.web.settings_pages import Place

_FEW = 3


@dataclass(frozen=True)
class Trouble:
    """A sender that fails. `is_paused`: mail waits for its next probe."""

    name: str
    url: str
    since: datetime | None
    cause: str | None
    is_paused: bool


def register(app: Flask) -> None:
    app.add_template_global(senders_in_trouble)
    app.add_template_global(suspended_here)


def senders_in_trouble() -> Sequence[Trouble]:
    """Those of the place that the page belongs to, where the reader may repair them; one read."""
    place = _place()
    if place is None:
        return ()
    return [_trouble(place, sender) for sender in overview.failing(place.scope, limit=_FEW)]


def suspended_here() -> Organization | None:
    """The organization of the page, if it is suspended."""
    here: Organization | None = g.get("organization")
    is_suspended = here is not None and here.state is OrganizationState.SUSPENDED
    return here if is_suspended else None


def _place() -> Place | None:
    here: Organization | None = g.get("organization")
    if here is None:
        return Place(None) if guard.may(Permission.HOST_SETTINGS_CHANGE) else None
    if not guard.may(Permission.SETTINGS_CHANGE):
        return None
    place = Place(here)
    # Senders that are not in use hold no mail.
    return place if effective.settings_of(place.scope).mode is Mode.OWN else None


def _trouble(place: Place, sender: Sender) -> Trouble:
    return Trouble(
        sender.name,
        place.url("sender", sender_id=sender.id),
        sender.failing_since_at,
        overview.told_cause(sender),
        sender.next_probe_at is not None,
    )
