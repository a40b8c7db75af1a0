"""The filters of the list of sending records, as they stand in its address."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TypeVar

from flask_babel import gettext as _
from flask_babel import to_user_timezone
from sqlalchemy import select

from portal import kinds
from portal.delivery.models import Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.records.search import Filters
from portal.settings import effective
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from portal.web import arguments, words
from portal.web.lists import Filter

_MOST_CHOICES = 500
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Asked:
    """What the address asks for. `problems`: by filter, why its value makes no sense, and the cure;
    where there is one, nothing is searched."""

    filters: Filters
    problems: Mapping[str, str]


def asked(organization: Organization | None) -> Asked:
    """Read the address; `organization` None: at the host."""
    problems: dict[str, str] = {}
    since, until = _day("from", problems), _day("to", problems)
    if since is not None and until is not None and until < since:
        problems["to"] = _("Enter a day that is not before the first one.")
    filters = Filters(
        state=_choice(State, "state", _("There is no such state; choose one."), problems),
        level=_choice(Level, "level", _("There is no such level; choose one."), problems),
        kind=_kind(problems),
        sender=arguments.text("sender") or None,
        recipient=arguments.text("recipient") or None,
        resource=arguments.text("resource", longest=300) or None,
        message_id=arguments.text("message", longest=300) or None,
        notification_id=_notification(problems),
        since=arguments.start_of(since),
        until=arguments.start_of(until, days_later=1),
        text=arguments.text("q") or None,
        reason=arguments.text("reason") or None,
        organization_id=_organization_id(problems) if organization is None else None,
    )
    return Asked(filters, problems)


def from_day(moment: datetime) -> str:
    """The reader's day of this time, as the filter `from` takes it."""
    return str(to_user_timezone(moment).date().isoformat())


def offered(*, at_host: bool) -> list[Filter]:
    """Every filter that the list knows."""
    of_host = [Filter("organization", _("Organization"))] if at_host else []
    return [
        Filter("q", _("Subject or recipient")),
        Filter("state", _("State"), _chip_word),
        Filter("kind", _("Kind"), words.kind_name),
        Filter("sender", _("Sender")),
        Filter("level", _("Level"), _in_words(words.LEVELS)),
        *of_host,
        Filter("recipient", _("Recipient")),
        Filter("resource", _("Resource")),
        Filter("from", _("From day")),
        Filter("to", _("To day")),
        Filter("reason", _("Reason"), _in_words(words.REASONS)),
        Filter("message", _("Message-ID")),
        Filter("notification", _("Notification")),
    ]


def choices(organization: Organization | None) -> Mapping[str, list[tuple[str, str]]]:
    """What the drop-down filters offer."""
    return {
        "states": [
            ("", _("Any state")),
            *((state.value, str(words.DELIVERY_STATES[state].word)) for state in State),
        ],
        "kinds": [("", _("Any kind")), *((one.key, words.kind_name(one.key)) for one in kinds.ALL)],
        "senders": [("", _("Any sender")), *((name, name) for name in _senders(organization))],
        "levels": [
            ("", _("Any level")),
            *((level.value, words.word(words.LEVELS, level)) for level in Level),
        ],
        "organizations": _organizations() if organization is None else [],
    }


def _choice(values: type[Choice], name: str, wrong: str, problems: dict[str, str]) -> Choice | None:
    given = arguments.text(name)
    if given in list(values):
        return values(given)
    if given:
        problems[name] = wrong
    return None


def _kind(problems: dict[str, str]) -> str | None:
    given = arguments.text("kind")
    if given and given not in kinds.BY_KEY:
        problems["kind"] = _("There is no such kind of mail; choose one.")
    return given or None


def _day(name: str, problems: dict[str, str]) -> date | None:
    found = arguments.day(name)
    if found is None and arguments.text(name):
        problems[name] = _("Enter a day as year, month and day, for example 2026-11-20.")
    return found


def _notification(problems: dict[str, str]) -> uuid.UUID | None:
    found = arguments.row_id("notification")
    if found is None and arguments.text("notification"):
        problems["notification"] = _("Enter the whole id of a notification, as the API gives it.")
    return found


def _organization_id(problems: dict[str, str]) -> uuid.UUID | None:
    slug = arguments.text("organization")
    if not slug:
        return None
    found = db.session.scalar(select(Organization.id).where(Organization.slug == slug))
    if found is None:
        problems["organization"] = _("There is no such organization; choose one.")
    return found


def _senders(organization: Organization | None) -> list[str]:
    """The names that records can have here: own senders, and the host's that is used for them."""
    if organization is None:
        names: Iterable[str] = db.session.scalars(
            select(Sender.name).distinct().order_by(Sender.name).limit(_MOST_CHOICES)
        )
        return list(names)
    own = db.session.scalars(
        select(Sender.name)
        .where(Sender.scope == Scope.of(organization).key)
        .order_by(Sender.name)
        .limit(_MOST_CHOICES)
    ).all()
    by_host = effective.default_sender(HOST)
    return list(dict.fromkeys([*own, *([by_host.name] if by_host else [])]))


def _organizations() -> list[tuple[str, str]]:
    rows = db.session.execute(
        select(Organization.slug, Organization.name)
        .order_by(Organization.name)
        .limit(_MOST_CHOICES)
    )
    return [("", _("Any organization")), *((row.slug, row.name) for row in rows)]


def _chip_word(slug: str) -> str:
    return str(words.state_chip(words.DELIVERY_STATES, slug).word)


def _in_words(table: Mapping[str, str]) -> Callable[[str], str]:
    return lambda slug: words.word(table, slug)
