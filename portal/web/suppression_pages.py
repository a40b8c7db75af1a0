"""The page of the suppression list, at the host and in an organization, and lifting."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select

from portal.delivery.models import Delivery
from portal.delivery.suppressions import BOUNCED, Suppression
from portal.extensions import db
from portal.newest_first import PAGE, Page
from portal.records import suppressions
from portal.records.visibility import route_of
from portal.settings.scope import Scope
from portal.web import arguments, guard, records_pages
from portal.web.lists import AFTER, BEFORE, Filter, ListState
from portal.web.records_pages import Place


@dataclass(frozen=True)
class Row:
    """One entry as the reader may see it. `subject`: of the mail that told; None: its record is
    gone. `organization` and `slug` are given at the host alone."""

    entry: Suppression
    reply: str | None
    subject: str | None
    record_url: str
    may_lift: bool
    organization: str | None
    slug: str | None


def listed(place: Place) -> ResponseReturnValue:
    """Newest first; the host sees everyone's, and lifts its own."""
    state = ListState([Filter("q", _("Address"))])
    page = _page(place, state.values.get("q"))
    rows = _rows(place, page.items)
    return render_template(
        "host/records_suppressions.html"
        if place.is_host
        else "organization/records_suppressions.html",
        place=place,
        rows=rows,
        state=state,
        may_lift=any(row.may_lift for row in rows),
        stopped_url=place.url("records", reason=BOUNCED),
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
    )


def lifted(place: Place) -> ResponseReturnValue:
    """Lift one entry, whose button was pressed, or all that are ticked."""
    given = request.form.getlist("one") or request.form.getlist("entry")
    ids = [found for text in given if (found := records_pages.id_of(text)) is not None]
    if not ids:
        flash(_("Tick the addresses that this is for."), "error")
    elif len(ids) > PAGE:
        flash(_("At most %(most)s at once.", most=PAGE), "error")
    else:
        scope = Scope.of(place.organization)
        addresses = suppressions.lift(scope, ids, actor=guard.principal().actor)
        db.session.commit()
        flash(*_said(addresses))
    return redirect(_target(place), 303)


def _page(place: Place, text: str | None) -> Page[Suppression]:
    older, newer = arguments.row_id(BEFORE), arguments.row_id(AFTER)
    if place.is_host:
        return suppressions.search_everywhere(text=text, after=older, newer_than=newer)
    scope = Scope.of(place.organization)
    return suppressions.search(scope, text=text, after=older, newer_than=newer)


def _rows(place: Place, entries: Sequence[Suppression]) -> list[Row]:
    owners = records_pages.owners(entries) if place.is_host else {}
    subjects = _subjects(entries)
    return [
        Row(
            entry,
            route_of(entry, level=entry.level, at_host=place.is_host).reply,
            subjects.get(entry.delivery_id),
            place.url("record", delivery_id=entry.delivery_id),
            place.may_decide(entry),
            *owners.get(entry.organization_id, (None, None)),
        )
        for entry in entries
    ]


def _subjects(entries: Sequence[Suppression]) -> dict[uuid.UUID, str]:
    rows = db.session.execute(
        select(Delivery.id, Delivery.subject).where(
            Delivery.id.in_([entry.delivery_id for entry in entries])
        )
    )
    return {row.id: row.subject for row in rows}


def _said(addresses: Sequence[str]) -> tuple[str, str]:
    if not addresses:
        return _("Nothing was changed: these addresses are not on the list any more."), "error"
    told = ngettext(
        "%(address)s was lifted: new mail to it is tried.",
        "%(num)s addresses were lifted: new mail to them is tried.",
        len(addresses),
        address=addresses[0],
    )
    return told, "success"


def _target(place: Place) -> str:
    record = records_pages.id_of(request.form.get("back", ""))
    if record is not None:
        return place.url("record", delivery_id=record)
    return place.url("records_suppressions")
