"""What the pages of sending records have in common, at the host and in an organization."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from portal.delivery.models import Delivery, State
from portal.delivery.suppressions import Suppression
from portal.extensions import db
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.letters.compose import Letter
from portal.newest_first import Page
from portal.records import attempts, letter_view, people_told, search, suppressions, unknown
from portal.records.attempts import ShownAttempt
from portal.records.letter_view import From, NotShown
from portal.records.people_told import Everyone
from portal.records.search import Filters
from portal.records.visibility import Route, route_of
from portal.settings.scope import Scope
from portal.web import arguments, guard, record_filters, restored_pages
from portal.web.lists import AFTER, BEFORE, ListState

_SHOWS = ("html", "text", "headers")
# The letter of a record is somebody else's text: it may show itself and do nothing.
_LETTER_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)


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

    def may_decide(self, row: Delivery | Suppression) -> bool:
        """Whether the reader may say what becomes of mail whose outcome is unknown, and lift an
        address: at the host of its own mail, in an organization of that one's."""
        if self.is_host:
            return row.organization_id is None and guard.may(Permission.HOST_RECORDS_CHANGE)
        return guard.may(Permission.RECORDS_CHANGE)

    def route(self, delivery: Delivery) -> Route:
        return route_of(delivery, level=delivery.level, at_host=self.is_host)


@dataclass(frozen=True)
class Row:
    """One record of the list; `organization` and its `slug` are given at the host alone."""

    delivery: Delivery
    route: Route
    url: str
    organization: str | None
    slug: str | None = None


@dataclass(frozen=True)
class AddressState:
    """What the suppression list has to do with a mail: whether it `stopped` it, the entry of its
    address (None: lifted since), and the page on which that stands."""

    stopped: bool
    entry: Suppression | None
    url: str
    may_lift: bool


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
    slug: str | None
    show: str
    may_decide: bool
    address: AddressState | None


def listed(place: Place) -> ResponseReturnValue:
    """The page of the list that the address asks for."""
    state = ListState(record_filters.offered(at_host=place.is_host))
    asked = record_filters.asked(place.organization)
    # A value that makes no sense must not show everything.
    page = Page([], None) if asked.problems else page_of(place, asked.filters)
    text = render_template(
        "host/records.html" if place.is_host else "organization/records.html",
        place=place,
        rows=rows_of(place, page.items),
        state=state,
        problems=asked.problems,
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
        choices=record_filters.choices(place.organization),
        restored=restored_pages.held(asked.filters) if place.is_host else None,
        unknown=(
            unknown.count(place.organization) if place.organization else unknown.count_at_host()
        ),
        suppressed=(
            suppressions.count_everywhere()
            if place.is_host
            else suppressions.count(Scope.of(place.organization))
        ),
    )
    return text, 422 if asked.problems else 200


def shown(place: Place, delivery_id: uuid.UUID) -> ResponseReturnValue:
    """The page of one record."""
    delivery = _found(place, delivery_id)
    show = request.args.get("show", "html")
    found = letter_view.letter_of(delivery)
    owner, slug = owners([delivery]).get(delivery.organization_id, (None, None))
    detail = Detail(
        delivery=delivery,
        route=place.route(delivery),
        attempts=attempts.shown(delivery, at_host=place.is_host),
        letter=None if isinstance(found, NotShown) else found,
        not_shown=found if isinstance(found, NotShown) else None,
        sent_as=letter_view.from_of(delivery),
        everyone=people_told.everyone(delivery.organization_id, delivery.payload_id),
        organization=owner,
        slug=slug,
        show=show if show in _SHOWS else "html",
        may_decide=delivery.state is State.UNKNOWN and place.may_decide(delivery),
        address=_address_state(place, delivery, slug),
    )
    template = "host/record.html" if place.is_host else "organization/record.html"
    return render_template(template, place=place, record=detail)


def letter(place: Place, delivery_id: uuid.UUID) -> ResponseReturnValue:
    """The HTML of one letter, for the frame of its page and nothing else."""
    found = letter_view.page_of(_found(place, delivery_id))
    if isinstance(found, NotShown):
        abort(404)
    # Pages refuse to be framed, so that a link of the letter must leave the frame.
    answer = Response(found.replace("<head>", '<head><base target="_blank">', 1))
    answer.headers["Content-Security-Policy"] = _LETTER_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def rows_of(place: Place, deliveries: Sequence[Delivery]) -> list[Row]:
    """Deliveries as lines of a table."""
    owned = owners(deliveries) if place.is_host else {}
    return [
        Row(
            delivery,
            place.route(delivery),
            place.url("record", delivery_id=delivery.id),
            *owned.get(delivery.organization_id, (None, None)),
        )
        for delivery in deliveries
    ]


def page_of(place: Place, wanted: Filters) -> Page[Delivery]:
    """The page of the list that the address asks for, narrowed so."""
    older, newer = arguments.row_id(BEFORE), arguments.row_id(AFTER)
    if place.organization is None:
        return search.search_at_host(wanted, after=older, newer_than=newer)
    return search.search(place.organization, wanted, after=older, newer_than=newer)


def owners(
    rows: Sequence[Delivery] | Sequence[Suppression],
) -> dict[uuid.UUID | None, tuple[str, str]]:
    """Name and slug of whose mail it is; the host's own is not among it."""
    ids = {row.organization_id for row in rows if row.organization_id}
    if not ids:
        return {}
    found = db.session.execute(
        select(Organization.id, Organization.name, Organization.slug).where(
            Organization.id.in_(ids)
        )
    )
    return {row.id: (row.name, row.slug) for row in found}


def id_of(text: str) -> uuid.UUID | None:
    """The id that a form sends; None for anything else."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _found(place: Place, delivery_id: uuid.UUID) -> Delivery:
    if place.organization is None:
        return search.find_at_host(delivery_id) or abort(404)
    return search.find(place.organization, delivery_id) or abort(404)


def _address_state(place: Place, delivery: Delivery, slug: str | None) -> AddressState | None:
    entry = suppressions.of_delivery(delivery)
    stopped = suppressions.was_stopped(delivery)
    if entry is None and not stopped:
        return None
    may_lift = entry is not None and place.may_decide(entry)
    return AddressState(stopped, entry, _list_url(place, delivery, slug), may_lift)


def _list_url(place: Place, delivery: Delivery, slug: str | None) -> str:
    """The list that the address is of, narrowed to it: an organization's stands in that one."""
    if place.is_host and slug is not None:
        page = "organization.records_suppressions"
        return url_for(page, organization=slug, q=delivery.recipient)
    return place.url("records_suppressions", q=delivery.recipient)
