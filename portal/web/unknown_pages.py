"""The page of mail whose outcome is unknown, at the host and in an organization, and its acts."""

import uuid

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.delivery.models import State
from portal.extensions import db
from portal.newest_first import PAGE
from portal.records import unknown
from portal.records.search import Filters
from portal.records.unknown import Act, Decided
from portal.settings.scope import Scope
from portal.web import guard, records_pages
from portal.web.lists import ListState
from portal.web.records_pages import Place


def listed(place: Place) -> ResponseReturnValue:
    """Newest first; the host sees everyone's, and decides of its own."""
    state = ListState(())
    page = records_pages.page_of(place, Filters(state=State.UNKNOWN))
    rows = records_pages.rows_of(place, page.items)
    return render_template(
        "host/records_unknown.html" if place.is_host else "organization/records_unknown.html",
        place=place,
        rows=rows,
        may_decide=any(place.may_decide(row.delivery) for row in rows),
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
    )


def decided(place: Place, act: Act) -> ResponseReturnValue:
    """Do it for one mail, whose button was pressed, or for all that are ticked."""
    ids = _asked()
    if not ids:
        flash(_("Tick the mails that this is for."), "error")
    elif len(ids) > PAGE:
        flash(_("At most %(most)s at once.", most=PAGE), "error")
    else:
        scope = Scope.of(place.organization)
        found = unknown.decide(scope, ids, act, actor=guard.principal().actor)
        said = _said(found, act)
        db.session.commit()
        for line in said:
            flash(*line)
    return redirect(_target(place, ids), 303)


def _asked() -> list[uuid.UUID]:
    given = request.form.getlist("one") or request.form.getlist("delivery")
    return [found for text in given if (found := records_pages.id_of(text)) is not None]


def _target(place: Place, ids: list[uuid.UUID]) -> str:
    if request.form.get("back") == "record" and len(ids) == 1:
        return place.url("record", delivery_id=ids[0])
    return place.url("records_unknown")


def _said(found: Decided, act: Act) -> list[tuple[str, str]]:
    lines = []
    if found.done and act is Act.CONFIRM:
        done = ngettext(
            "%(num)s mail counts as arrived.", "%(num)s mails count as arrived.", found.done
        )
        lines.append((done, "success"))
    elif found.done:
        done = ngettext(
            "%(num)s mail is sent again; security mail with a new link.",
            "%(num)s mails are sent again; security mail with new links.",
            found.done,
        )
        lines.append((done, "success"))
    lines += [
        (_("%(to)s: %(why)s", to=left.delivery.recipient, why=left.why), "error")
        for left in found.left
    ]
    if not lines:
        lines.append((_("Nothing was changed: these mails are not here any more."), "error"))
    return lines
