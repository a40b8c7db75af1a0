"""Who belongs to an organization, in which role. An account is the person's own: here only the
membership changes."""

import uuid
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import contains_eager

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.extensions import db
from portal.identity.models import Membership, Organization, Role, User
from portal.validation import Invalid, Stale

PAGE = 50


@dataclass(frozen=True)
class MemberPage:
    """Members by name; `next` is the id to go on after, None on the last page."""

    members: list[Membership]
    next: uuid.UUID | None


def search(organization: Organization, *, text: str, after: uuid.UUID | None) -> MemberPage:
    """The members whose name or address holds the text."""
    query = (
        select(Membership)
        .join(Membership.user)
        .where(Membership.organization_id == organization.id)
        .options(contains_eager(Membership.user))
        .order_by(User.name, Membership.id)
        .limit(PAGE + 1)
    )
    if text:
        query = query.where(
            User.name.icontains(text, autoescape=True) | User.email.icontains(text, autoescape=True)
        )
    if after is not None and (anchor := find(organization, after)) is not None:
        query = query.where(tuple_(User.name, Membership.id) > (anchor.user.name, anchor.id))
    found = list(db.session.scalars(query))
    return MemberPage(found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None)


def find(organization: Organization, member_id: uuid.UUID) -> Membership | None:
    """The membership, if it is one of this organization."""
    return db.session.scalar(
        select(Membership).where(
            Membership.organization_id == organization.id, Membership.id == member_id
        )
    )


def membership_of(organization: Organization, user: User) -> Membership | None:
    return db.session.scalar(
        select(Membership).where(
            Membership.organization_id == organization.id, Membership.user_id == user.id
        )
    )


def administrators(organization: Organization) -> list[User]:
    """The Administrators, by name."""
    return list(
        db.session.scalars(
            select(User)
            .join(Membership)
            .where(
                Membership.organization_id == organization.id,
                Membership.role == Role.ADMINISTRATOR,
            )
            .order_by(User.name, User.id)
        )
    )


def is_last_administrator(organization: Organization, member: Membership) -> bool:
    """Whether the organization would be left without an Administrator."""
    return member.role is Role.ADMINISTRATOR and _administrators(organization) == [member.id]


def add(organization: Organization, user: User, *, role: Role, actor: Actor) -> Membership:
    """Make the person a member, or give the member they are this role."""
    member = membership_of(organization, user)
    if member is None:
        member = Membership(organization_id=organization.id, user_id=user.id, role=role)
        db.session.add(member)
        db.session.flush()
        _record(organization, member, "member.added", actor, {"role": {"after": role.value}})
    elif member.role is not role:
        change_role(organization, member, role=role, actor=actor)
    return member


def change_role(
    organization: Organization, member: Membership, *, role: Role, actor: Actor
) -> None:
    """Raises Invalid for the last Administrator, Stale where the member is gone."""
    lock(organization)
    member = _again(organization, member)
    if member.role is role:
        return
    if is_last_administrator(organization, member):
        raise Invalid.field(
            "role",
            f"{member.user.name} is the last Administrator of {organization.name}. "
            "Make someone else an Administrator first.",
        )
    changes = audit.difference({"role": member.role.value}, {"role": role.value})
    member.role = role
    _record(organization, member, "member.changed", actor, changes)


def remove(organization: Organization, member: Membership, *, actor: Actor) -> None:
    """End the membership; the account stays. Waiting mail of the organization to the person is
    cancelled by who reads the event. Raises Invalid for the last Administrator, Stale where the
    member is gone."""
    lock(organization)
    member = _again(organization, member)
    if is_last_administrator(organization, member):
        raise Invalid.field(
            "member",
            f"{member.user.name} is the last Administrator of {organization.name} and can't be "
            "removed. Make someone else an Administrator first.",
        )
    _record(organization, member, "member.removed", actor, {"role": {"before": member.role.value}})
    db.session.delete(member)
    db.session.flush()
    jobs.emit("person_removed", organization_id=organization.id, user_id=str(member.user_id))


def lock(organization: Organization) -> None:
    """Let no one else change who belongs to the organization until this transaction ends.

    PostgreSQL locks the row; on SQLite a transaction that may write is alone already.
    """
    db.session.execute(
        select(Organization.id).where(Organization.id == organization.id).with_for_update()
    )


def _again(organization: Organization, member: Membership) -> Membership:
    """The member as it is now that no one else can change it."""
    fresh = db.session.scalar(
        select(Membership)
        .where(Membership.organization_id == organization.id, Membership.id == member.id)
        .execution_options(populate_existing=True)
    )
    if fresh is None:
        raise Stale("member")
    return fresh


def _administrators(organization: Organization) -> list[uuid.UUID]:
    return list(
        db.session.scalars(
            select(Membership.id).where(
                Membership.organization_id == organization.id,
                Membership.role == Role.ADMINISTRATOR,
            )
        )
    )


def _record(
    organization: Organization,
    member: Membership,
    action: str,
    actor: Actor,
    changes: dict[str, dict[str, str]],
) -> None:
    audit.record(
        actor,
        action,
        organization_id=organization.id,
        object_type="user",
        object_id=member.user_id,
        changes=changes,
    )
