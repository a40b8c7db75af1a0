"""Organizations as the host sees them: list, create, rename, suspend, delete."""

import re
import unicodedata
import uuid
from dataclasses import dataclass

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import members
from portal.identity.models import (
    AccountLink,
    Membership,
    Organization,
    OrganizationState,
    SignInSession,
)
from portal.validation import Invalid, Stale, display_name, slug

PAGE = 50


@dataclass(frozen=True)
class OrganizationRow:
    """One organization and how many people belong to it."""

    organization: Organization
    members: int


@dataclass(frozen=True)
class OrganizationPage:
    """Organizations by name; `next` is the id to go on after, None on the last page."""

    rows: list[OrganizationRow]
    next: uuid.UUID | None


@dataclass(frozen=True)
class People:
    """What a deletion means for people: how many belong here, and how many belong only here."""

    members: int
    only_here: int


def search(*, text: str, after: uuid.UUID | None, limit: int = PAGE) -> OrganizationPage:
    """The organizations whose name or short name holds the text; deleted ones are left out."""
    count = (
        select(func.count())
        .where(Membership.organization_id == Organization.id)
        .correlate(Organization)
        .scalar_subquery()
    )
    query = (
        select(Organization, count)
        .where(Organization.state != OrganizationState.DELETED)
        .order_by(Organization.name, Organization.id)
        .limit(limit + 1)
    )
    if text:
        query = query.where(
            Organization.name.icontains(text, autoescape=True)
            | Organization.slug.icontains(text, autoescape=True)
        )
    if after is not None and (anchor := db.session.get(Organization, after)) is not None:
        query = query.where(tuple_(Organization.name, Organization.id) > (anchor.name, anchor.id))
    rows = [OrganizationRow(*row) for row in db.session.execute(query)]
    more = len(rows) > limit
    return OrganizationPage(rows[:limit], rows[limit - 1].organization.id if more else None)


def by_slug(short_name: str) -> Organization | None:
    """The organization, unless it was deleted."""
    return db.session.scalar(
        select(Organization).where(
            Organization.slug == short_name, Organization.state != OrganizationState.DELETED
        )
    )


def suggested_slug(name: str) -> str:
    """A short name made of a name: "Acme Europe GmbH" gives acme-europe-gmbh. May be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].strip("-")


def create(*, name: str, short_name: str, actor: Actor) -> Organization:
    """A new organization. Raises Invalid for field `name` or `slug`."""
    organization = Organization(name=_name(name), slug=slug("slug", short_name))
    if organization.slug == "host":
        raise Invalid.field("slug", "host stands for the platform. Choose another short name.")
    try:
        with db.session.begin_nested():
            db.session.add(organization)
    except IntegrityError:
        raise Invalid.field(
            "slug", f"Another organization is called {short_name}. Choose another short name."
        ) from None
    _record(organization, "organization.created", actor, {"slug": {"after": organization.slug}})
    return organization


def rename(organization: Organization, *, name: str, actor: Actor) -> None:
    """Raises Invalid."""
    before = organization.name
    organization.name = _name(name)
    changes = audit.difference({"name": before}, {"name": organization.name})
    if changes:
        _record(organization, "organization.changed", actor, changes)


def people(organization: Organization) -> People:
    """Whom a deletion would touch."""
    here = select(Membership.user_id).where(Membership.organization_id == organization.id)
    elsewhere = (
        select(Membership.user_id)
        .join(Organization)
        .where(
            Membership.organization_id != organization.id,
            Organization.state != OrganizationState.DELETED,
        )
    )
    count = (
        select(func.count())
        .select_from(Membership)
        .where(Membership.organization_id == organization.id)
    )
    only_here = count.where(Membership.user_id.not_in(elsewhere), Membership.user_id.in_(here))
    return People(db.session.scalar(count) or 0, db.session.scalar(only_here) or 0)


def suspend(organization: Organization, *, actor: Actor) -> bool:
    """Hold the organization's mail, but for security mail; people keep their access.

    Returns whether it was active until now. Raises Stale where it was deleted meanwhile.
    """
    return _set_state(organization, OrganizationState.SUSPENDED, "organization.suspended", actor)


def resume(organization: Organization, *, actor: Actor) -> bool:
    """End a suspension; what was held for it leaves at once. As `suspend`."""
    return _set_state(organization, OrganizationState.ACTIVE, "organization.resumed", actor)


def delete(organization: Organization, *, actor: Actor) -> None:
    """Mark the organization deleted; its records and audit stay, its short name is free again.

    Memberships and open invitations end, accounts stay. Waiting mail is cancelled by who reads
    the event. Raises Stale where somebody else deleted it meanwhile.
    """
    members.lock(organization)
    db.session.refresh(organization)
    if organization.state is OrganizationState.DELETED:
        raise Stale("organization")
    touched = people(organization)
    _record(
        organization,
        "organization.deleted",
        actor,
        {"slug": {"before": organization.slug}, "members": {"before": touched.members, "after": 0}},
    )
    organization.state = OrganizationState.DELETED
    organization.deleted_at = utcnow()
    # No path can spell this one.
    organization.slug = f"~{organization.id.hex}"
    _end_ties(organization)
    jobs.emit("organization_deleted", organization_id=organization.id)


def _set_state(
    organization: Organization, state: OrganizationState, action: str, actor: Actor
) -> bool:
    members.lock(organization)
    db.session.refresh(organization)
    before = organization.state
    if before is OrganizationState.DELETED:
        raise Stale("organization")
    if before is state:
        return False
    organization.state = state
    changes = audit.difference({"state": before.value}, {"state": state.value})
    _record(organization, action, actor, changes)
    # The workers look at the settings again: what was held for the suspension may leave.
    jobs.emit("sender_changed", organization_id=organization.id)
    return True


def _end_ties(organization: Organization) -> None:
    db.session.execute(delete_rows(Membership).where(Membership.organization_id == organization.id))
    db.session.execute(
        delete_rows(AccountLink).where(
            AccountLink.organization_id == organization.id, AccountLink.used_at.is_(None)
        )
    )
    db.session.execute(
        update(SignInSession)
        .where(SignInSession.acting_in_id == organization.id)
        .values(acting_in_id=None)
    )


def _name(value: str) -> str:
    name = display_name("name", value)
    if not name:
        raise Invalid.field("name", "Enter the organization's name, for example Globex.")
    return name


def _record(
    organization: Organization, action: str, actor: Actor, changes: dict[str, dict[str, object]]
) -> None:
    """In the host's log and in the organization's own."""
    for organization_id in (None, organization.id):
        audit.record(
            actor,
            action,
            organization_id=organization_id,
            object_type="organization",
            object_id=organization.id,
            changes=changes,
        )
