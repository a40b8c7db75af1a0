"""Signing a person in, and where they go from there."""

from urllib.parse import urlsplit

from flask import request, session, url_for
from flask_login import login_user
from sqlalchemy import select, update

from portal.clock import utcnow
from portal.database import reading_only
from portal.extensions import db
from portal.identity import sessions
from portal.identity.models import Membership, Organization, OrganizationState, SignInSession, User
from portal.web import guard


def begin(user: User) -> None:
    """A new session with a new id; the one that this browser had ends."""
    earlier = guard.principal().session
    if earlier is not None:
        sessions.end(earlier)
    session.clear()
    signed_in = sessions.start(
        user, ip=request.remote_addr, user_agent=request.headers.get("User-Agent")
    )
    login_user(signed_in, remember=False)


def own_path(target: str | None) -> str | None:
    """The target, if it is a path of this portal and nothing that a browser reads otherwise."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    # Browsers drop control characters and read a backslash as a slash.
    if "\\" in target or not target.isprintable() or " " in target:
        return None
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else None


def home_of(user: User) -> str:
    """The page that a person starts from."""
    slug = db.session.scalar(
        select(Organization.slug)
        .join(Membership, Membership.organization_id == Organization.id)
        .where(Membership.user_id == user.id, Organization.state != OrganizationState.DELETED)
        .order_by(Organization.name)
        .limit(1)
    )
    if slug is not None:
        return url_for("organization.overview", organization=slug)
    return url_for("host.overview" if user.is_system_administrator else "me.profile")


def note_presence() -> None:
    """Remember, to the minute, that this session was used: the idle limit counts from there.

    On a connection of its own, so that nothing of the request is committed along.
    """
    row = guard.principal().session
    if row is None or not sessions.needs_touch(row):
        return
    reading_only(False)
    with db.engine.begin() as connection:
        connection.execute(
            update(SignInSession).where(SignInSession.id == row.id).values(last_seen_at=utcnow())
        )
