"""What every page knows: language, time zone, navigation, the switcher and the person."""

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, g, has_request_context, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.identity.models import Membership, Organization, OrganizationState, Role, User
from portal.identity.policy import NOBODY
from portal.settings import effective
from portal.web import guard, navigation, troubles
from portal.web.guard import declared_access

LANGUAGES = ("en", "zh")


def language() -> str:
    """The page's language: the person's own, else the browser's, else English, as at a console."""
    if not has_request_context():
        return "en"
    user = guard.principal().user
    if user is not None and user.language in LANGUAGES:
        return user.language
    return request.accept_languages.best_match(LANGUAGES) or "en"


def timezone() -> str:
    if not has_request_context():
        return "UTC"
    user = guard.principal().user
    return user.timezone if user is not None else "UTC"


def register(app: Flask) -> None:
    app.context_processor(_common)
    troubles.register(app)


def do_without_database() -> None:
    """The page of this answer asks the database nothing: it is shown as to nobody."""
    g.principal = NOBODY
    g.has_no_database = True


def _common() -> dict[str, Any]:
    has_database = not g.get("has_no_database", False)
    values: dict[str, Any] = {
        "platform_name": effective.platform_name() if has_database else effective.PRODUCT,
        "csrf_token": generate_csrf,
        "may": guard.may,
    }
    user = guard.principal().user
    if user is None:
        return values
    switcher = _switcher(user)
    groups = _navigation(user)
    return values | {
        "navigation": groups,
        "switcher": switcher,
        "breadcrumb": navigation.trail(groups, switcher),
        "person": navigation.person(url_for, user.name),
    }


def _navigation(user: User) -> tuple[navigation.NavGroup, ...]:
    organization = g.get("organization")
    if organization is not None:
        return navigation.organization_navigation(
            url_for, request.endpoint, organization.slug, _allowed()
        )
    if request.blueprint == "host" and user.is_system_administrator:
        return navigation.host_navigation(
            url_for,
            request.endpoint,
            has_mail_catcher=current_app.extensions["config"].mail_catcher,
        )
    return navigation.me_navigation(url_for, request.endpoint)


def _allowed() -> Callable[[str], bool]:
    """Whether the person may open an entry: its handler's own declaration answers."""

    def answer(endpoint: str) -> bool:
        view = current_app.view_functions.get(endpoint)
        access = declared_access(view) if view is not None else None
        return bool(access and access.permission and guard.may(access.permission))

    return answer


def _switcher(user: User) -> tuple[navigation.SwitcherEntry, ...]:
    here = g.get("organization")
    entries = []
    if user.is_system_administrator:
        entries.append(
            navigation.SwitcherEntry(
                effective.platform_name(),
                url_for("host.overview"),
                _("System administrator"),
                request.blueprint == "host",
            )
        )
    memberships = _memberships(user)
    if here is not None and here.id not in {m.organization_id for m in memberships}:
        entries.append(_entry(here, _("System administrator"), here))
    for membership in memberships:
        role = _("Administrator") if membership.role is Role.ADMINISTRATOR else _("Member")
        entries.append(_entry(membership.organization, role, here))
    entries.append(
        navigation.SwitcherEntry(
            _("My profile"), url_for("me.profile"), None, request.blueprint == "me"
        )
    )
    return tuple(entries)


def _memberships(user: User) -> list[Membership]:
    return list(
        db.session.scalars(
            select(Membership)
            .join(Organization)
            .where(Membership.user_id == user.id, Organization.state != OrganizationState.DELETED)
            .options(joinedload(Membership.organization))
            .order_by(Organization.name)
        )
    )


def _entry(
    organization: Organization, role: str, here: Organization | None
) -> navigation.SwitcherEntry:
    return navigation.SwitcherEntry(
        organization.name,
        url_for("organization.overview", organization=organization.slug),
        role,
        here is not None and here.id == organization.id,
        organization.name[:1].upper() + organization.name[1:2].lower(),
    )
