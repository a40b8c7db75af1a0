"""Mail that is held since a backup was restored: a system administrator lets it go."""

from dataclasses import dataclass

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.delivery import restoring
from portal.delivery.models import State
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.records.search import Filters
from portal.web import guard


@dataclass(frozen=True)
class Held:
    """So much of the `organization` (None: of everyone)."""

    number: int
    organization: Organization | None


def held(filters: Filters) -> Held | None:
    """What stands above the list where it shows such mail to somebody who may send it."""
    is_asked = filters.state is State.HELD or filters.reason == restoring.RESTORED
    if not is_asked or not guard.may(Permission.HOST_RECORDS_CHANGE):
        return None
    organization = (
        db.session.get(Organization, filters.organization_id) if filters.organization_id else None
    )
    number = restoring.count_held(organization)
    return Held(number, organization) if number else None


def sent() -> ResponseReturnValue:
    """Queue it: of the organization that the form names, or everyone's."""
    slug = request.form.get("organization", "")
    organization = (organizations.by_slug(slug) or abort(404)) if slug else None
    count = restoring.send_held(organization, actor=guard.principal().actor)
    db.session.commit()
    said = ngettext(
        "%(num)s mail leaves now, marked as a possible copy.",
        "%(num)s mails leave now, marked as possible copies.",
        count,
    )
    flash(said if count else _("No mail is held since a restore."), "success")
    return redirect(url_for("host.records", organization=slug or None), 303)
