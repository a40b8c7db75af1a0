"""System administrators: list, add, remove; and acting inside an organization."""

import uuid

from sqlalchemy import select

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.extensions import db
from portal.identity.models import Organization, SignInSession, User
from portal.validation import Invalid, Stale


def everyone() -> list[User]:
    """All system administrators, by name."""
    return list(
        db.session.scalars(
            select(User).where(User.is_system_administrator).order_by(User.name, User.id)
        )
    )


def find(user_id: uuid.UUID) -> User | None:
    return db.session.scalar(select(User).where(User.is_system_administrator, User.id == user_id))


def add(user: User, *, actor: Actor) -> None:
    """Make a person who has an account a system administrator."""
    if not user.is_system_administrator:
        user.is_system_administrator = True
        _record("administrator.added", user, actor)


def remove(user: User, *, actor: Actor) -> None:
    """Take the role away; the account and its memberships stay.

    Raises Invalid for the last one, Stale where somebody else did it meanwhile.
    """
    # Locked in one order: two who remove each other at once wait, and the second one is refused.
    left = set(
        db.session.scalars(
            select(User.id).where(User.is_system_administrator).order_by(User.id).with_for_update()
        )
    )
    if user.id not in left:
        raise Stale("administrator")
    if left == {user.id}:
        raise Invalid.field(
            "administrator",
            f"{user.name} is the last system administrator and can't be removed. "
            "Add someone else first.",
        )
    user.is_system_administrator = False
    for session in db.session.scalars(
        select(SignInSession).where(SignInSession.user_id == user.id)
    ):
        session.acting_in_id = None
    _record("administrator.removed", user, actor)


def start_acting(session: SignInSession, organization: Organization, *, actor: Actor) -> None:
    """From now on this session has an Administrator's rights in the organization."""
    if session.acting_in_id != organization.id:
        if session.acting_in_id is not None:
            stop_acting(session, actor=actor)
        session.acting_in_id = organization.id
        _record_acting("acting.started", organization.id, actor)


def stop_acting(session: SignInSession, *, actor: Actor) -> None:
    if session.acting_in_id is not None:
        _record_acting("acting.stopped", session.acting_in_id, actor)
        session.acting_in_id = None


def _record(action: str, user: User, actor: Actor) -> None:
    audit.record(actor, action, organization_id=None, object_type="user", object_id=user.id)


def _record_acting(action: str, organization_id: uuid.UUID, actor: Actor) -> None:
    """In the host's log and in the organization's own."""
    for where in (None, organization_id):
        audit.record(
            actor,
            action,
            organization_id=where,
            object_type="organization",
            object_id=organization_id,
        )
