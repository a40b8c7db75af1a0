"""What the pages of sending records have in common, at the host and in an organization."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from portal import kinds
from portal.delivery.models import Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.letters.compose import Letter
from portal.records import attempts, letter_view, people_told, search
from portal.records.attempts import ShownAttempt
from portal.records.letter_view import From, NotShown
from portal.records.people_told import Everyone
from portal.records.search import Filters
from portal.records.visibility import Route, route_of
from portal.settings import effective
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from portal.web import arguments, words
from portal.web.lists import AFTER, BEFORE, Filter, ListState

_MOST_CHOICES = 500
_SHOWS = ("html", "text", "headers")
# The letter of a record is somebody else's text: it may show itself and do nothing.
_LETTER_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Place:
    """Whose records they are: those of one organization, or at the host (None) everyone's."""

    organization: Organization | None

    @property
    def is_host(self) -> bool:
        return self.organization is None

    def url(self, page: str, **values: Any) -> str:
        """The address of a page of this place: `url("record", delivery_id=...)`."""
        if self.organization is None:
            return url_for(f"host.{page}", **values)
        return url_for(f"organization.{page}", organization=self.organization.slug, **values)

    def route(self, delivery: Delivery) -> Route:
        return route_of(delivery, level=delivery.level, at_host=self.is_host)


@dataclass(frozen=True)
class Row:
    """One record of the list; `organization` is named at the host alone."""

    delivery: Delivery
    route: Route
    url: str
    organization: str | None


@dataclass(frozen=True)
class Detail:
    """Everything that the page of one record shows."""

    delivery: Delivery
    route: Route
    attempts: Sequence[ShownAttempt]
    letter: Letter | None
    not_shown: NotShown | None
    sent_as: From | None
    everyone: Everyone
    organization: str | None
    show: str


def listed(place: Place) -> ResponseReturnValue:
    """The page of the list that the address asks for."""
    state = ListState(_filters(place))
    wanted = _wanted(place)
    # What names nothing known matches nothing: a wrong name must not show everything.
    page = search.Page([], None) if wanted is None else _page(place, wanted)
    return render_template(
        "host/records.html" if place.is_host else "organization/records.html",
        place=place,
        rows=rows_of(place, page.items),
        state=state,
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
        choices=_choices(place),
    )


def shown(place: Place, delivery_id: uuid.UUID) -> ResponseReturnValue:
    """The page of one record."""
    delivery = _found(place, delivery_id)
    show = request.args.get("show", "html")
    found = letter_view.letter_of(delivery)
    detail = Detail(
        delivery=delivery,
        route=place.route(delivery),
        attempts=attempts.shown(delivery, at_host=place.is_host),
        letter=None if isinstance(found, NotShown) else found,
        not_shown=found if isinstance(found, NotShown) else None,
        sent_as=letter_view.from_of(delivery),
        everyone=people_told.everyone(delivery.organization_id, delivery.payload_id),
        organization=_names([delivery]).get(delivery.organization_id),
        show=show if show in _SHOWS else "html",
    )
    template = "host/record.html" if place.is_host else "organization/record.html"
    return render_template(template, place=place, record=detail)


def letter(place: Place, delivery_id: uuid.UUID) -> ResponseReturnValue:
    """The HTML of one letter, for the frame of its page and nothing else."""
    found = letter_view.letter_of(_found(place, delivery_id))
    if isinstance(found, NotShown):
        abort(404)
    # Pages refuse to be framed, so that a link of the letter must leave the frame.
    answer = Response(found.html.replace("<head>", '<head><base target="_blank">', 1))
    answer.headers["Content-Security-Policy"] = _LETTER_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def rows_of(place: Place, deliveries: Sequence[Delivery]) -> list[Row]:
    """Deliveries as lines of a table."""
    names = _names(deliveries) if place.is_host else {}
    return [
        Row(
            delivery,
            place.route(delivery),
            place.url("record", delivery_id=delivery.id),
            names.get(delivery.organization_id),
        )
        for delivery in deliveries
    ]


def _found(place: Place, delivery_id: uuid.UUID) -> Delivery:
    if place.organization is None:
        return search.find_at_host(delivery_id) or abort(404)
    return search.find(place.organization, delivery_id) or abort(404)


def _page(place: Place, wanted: Filters) -> search.Page:
    older, newer = arguments.row_id(BEFORE), arguments.row_id(AFTER)
    if place.organization is None:
        return search.search_at_host(wanted, after=older, newer_than=newer)
    return search.search(place.organization, wanted, after=older, newer_than=newer)


def _filters(place: Place) -> list[Filter]:
    at_host = [Filter("organization", _("Organization"))] if place.is_host else []
    return [
        Filter("q", _("Subject or recipient")),
        Filter("state", _("State"), _chip_word),
        Filter("kind", _("Kind"), words.kind_name),
        Filter("sender", _("Sender")),
        Filter("level", _("Level"), _in_words(words.LEVELS)),
        *at_host,
        Filter("recipient", _("Recipient")),
        Filter("resource", _("Resource")),
        Filter("from", _("From day")),
        Filter("to", _("To day")),
        Filter("reason", _("Reason"), _in_words(words.REASONS)),
        Filter("message", _("Message-ID")),
        Filter("notification", _("Notification")),
    ]


def _wanted(place: Place) -> Filters | None:
    """The filters of the address; None where one of them names something that does not exist."""
    organization_id = None
    if place.is_host and (slug := arguments.text("organization")):
        organization_id = db.session.scalar(
            select(Organization.id).where(Organization.slug == slug)
        )
        if organization_id is None:
            return None
    return Filters(
        state=_choice(State, "state"),
        level=_choice(Level, "level"),
        kind=arguments.text("kind") or None,
        sender=arguments.text("sender") or None,
        recipient=arguments.text("recipient") or None,
        resource=arguments.text("resource", longest=300) or None,
        message_id=arguments.text("message", longest=300) or None,
        notification_id=arguments.row_id("notification"),
        since=arguments.start_of(arguments.day("from")),
        until=arguments.start_of(arguments.day("to"), days_later=1),
        text=arguments.text("q") or None,
        reason=arguments.text("reason") or None,
        organization_id=organization_id,
    )


def _choice(values: type[Choice], name: str) -> Choice | None:
    given = arguments.text(name)
    return values(given) if given in list(values) else None


def _choices(place: Place) -> Mapping[str, list[tuple[str, str]]]:
    """What the drop-down filters offer."""
    return {
        "states": [
            ("", _("Any state")),
            *((state.value, str(words.DELIVERY_STATES[state].word)) for state in State),
        ],
        "kinds": [("", _("Any kind")), *((one.key, words.kind_name(one.key)) for one in kinds.ALL)],
        "senders": [("", _("Any sender")), *((name, name) for name in _senders(place))],
        "levels": [
            ("", _("Any level")),
            *((level.value, words.word(words.LEVELS, level)) for level in Level),
        ],
        "organizations": _organizations() if place.is_host else [],
    }


def _senders(place: Place) -> list[str]:
    """The names that records can have here: own senders, and the host's that is used for them."""
    if place.is_host:
        names: Iterable[str] = db.session.scalars(
            select(Sender.name).distinct().order_by(Sender.name).limit(_MOST_CHOICES)
        )
        return list(names)
    own = db.session.scalars(
        select(Sender.name)
        .where(Sender.scope == Scope.of(place.organization).key)
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


def _names(deliveries: Sequence[Delivery]) -> dict[uuid.UUID | None, str]:
    ids = {row.organization_id for row in deliveries if row.organization_id}
    if not ids:
        return {}
    rows = db.session.execute(
        select(Organization.id, Organization.name).where(Organization.id.in_(ids))
    )
    return {row.id: row.name for row in rows}


def _chip_word(slug: str) -> str:
    return str(words.state_chip(words.DELIVERY_STATES, slug).word)


def _in_words(table: Mapping[str, str]) -> Callable[[str], str]:
    return lambda slug: words.word(table, slug)
