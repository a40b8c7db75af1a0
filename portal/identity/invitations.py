"""Inviting people into an organization or to the host. Nobody belongs before they accepted."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.audit import log as audit
from portal.audit.log import Actor, ActorType
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import links, members, person_names, throttle, users
from portal.identity.models import (
    AccountLink,
    LinkPurpose,
    Organization,
    OrganizationState,
    Role,
    User,
)
from portal.validation import Invalid

# An invitation goes to an address that nobody has proved yet: a flood would harm the platform.
MAILS_A_DAY = 200
RESEND_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Invitation:
    """An invitation that can be mailed. `token` cannot be had again."""

    link: AccountLink
    user: User
    token: str


def invite(
    organization: Organization, *, email: str, name: str, role: Role, actor: Actor
) -> Invitation:
    """Invite a person into the organization. Raises Invalid."""
    address, name = users.account_email("email", email), person_names.check("name", name)
    user = _person(address)
    members.lock(organization)
    if members.membership_of(organization, user) is not None:
        raise Invalid.field(
            "email", f"{address} is a member already. Change the role on the members page."
        )
    return _invite(organization, user, role=role, name=name, actor=actor)


def invite_to_host(*, email: str, name: str, actor: Actor) -> Invitation:
    """Invite a new person as a system administrator. Raises Invalid."""
    address, name = users.account_email("email", email), person_names.check("name", name)
    user = _person(address)
    if user.is_system_administrator:
        raise Invalid.field("email", f"{address} is a system administrator already.")
    return _invite(None, user, role=None, name=name, actor=actor)


def pending(organization: Organization | None) -> list[AccountLink]:
    """The invitations that nobody accepted, newest first, also those that ran out.

    None: those to the host.
    """
    return list(
        db.session.scalars(
            _unused(organization)
            .options(joinedload(AccountLink.user))
            .order_by(AccountLink.created_at.desc())
        )
    )


def find(organization: Organization | None, invitation_id: uuid.UUID) -> AccountLink | None:
    """An invitation of this organization (None: of the host) that nobody accepted."""
    return db.session.scalar(_unused(organization).where(AccountLink.id == invitation_id))


def of_person(organization: Organization | None, user: User) -> AccountLink | None:
    """The invitation of a person to this organization (None: to the host), until it is accepted."""
    return db.session.scalar(
        _unused(organization)
        .where(AccountLink.user_id == user.id)
        .order_by(AccountLink.created_at.desc())
        .limit(1)
    )


def resend(link: AccountLink, *, actor: Actor) -> Invitation:
    """A new link in place of the old one, which opens nothing any more. Raises Invalid."""
    assert link.user is not None
    _lock(link.user)
    if link.organization is not None:
        members.lock(link.organization)
        _check_amount(link.organization)
    db.session.refresh(link)
    if utcnow() - link.created_at < RESEND_AFTER:
        raise Invalid.field(
            "invitation",
            f"The invitation of {link.user.email} was mailed less than a minute ago. "
            "Wait a minute before it is mailed again.",
        )
    _admit("invitation", link.organization, link.user)
    token = links.renew(link)
    _record("invitation.resent", link, actor)
    return Invitation(link, link.user, token)


def withdraw(link: AccountLink, *, actor: Actor) -> None:
    """The link opens nothing any more."""
    _record("invitation.withdrawn", link, actor)
    db.session.delete(link)


def needs_account(link: AccountLink) -> bool:
    """Whether the person is new: sets name and password. Others sign in to accept."""
    return link.user is not None and link.user.password_hash is None


def is_void(link: AccountLink) -> bool:
    """Whether the organization went away since."""
    gone = link.organization is not None and (link.organization.state is OrganizationState.DELETED)
    return gone or link.user is None


def accept_as_new(link: AccountLink, *, name: str, password: str, ip: str | None) -> User:
    """Accept with a name and a first password. Raises Invalid, LinkRefused."""
    assert link.user is not None
    users.give_password(link.user, name=name, password=password)
    link.user.verified_at = utcnow()
    return accept(link, ip=ip)


def accept(link: AccountLink, *, ip: str | None) -> User:
    """Spend the link and make the person what they were invited to be. Raises LinkRefused."""
    assert link.user is not None
    user = link.user
    links.use(link)
    if link.organization is None:
        user.is_system_administrator = True
        _record("administrator.added", link, _person_acts(user, ip))
    elif link.role is not None:
        members.lock(link.organization)
        members.add(link.organization, user, role=link.role, actor=_person_acts(user, ip))
    return user


def _person(address: str) -> User:
    """The person of an address, locked; made where there is none, without a password.

    One who has no account is called by the address alone: every organization sees this row.
    """
    found = users.by_email(address) or _made(address)
    _lock(found)
    return found


def _made(address: str) -> User:
    made = User(email=address, name=person_names.from_address(address))
    try:
        with db.session.begin_nested():
            db.session.add(made)
    except IntegrityError:
        # Somebody else invited the same address at the same moment.
        return db.session.scalars(select(User).where(User.email == address)).one()
    return made


def _lock(user: User) -> None:
    """Let no one else invite the person until this transaction ends, so that all are counted.

    Always before the organization is locked. On SQLite one transaction writes at a time anyway.
    """
    db.session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True))


def _invite(
    organization: Organization | None, user: User, *, role: Role | None, name: str, actor: Actor
) -> Invitation:
    if organization is not None:
        _check_amount(organization)
    waiting = db.session.scalar(_unused(organization).where(AccountLink.user_id == user.id))
    if waiting is not None and links.state_of(waiting) is links.LinkState.USABLE:
        raise Invalid.field(
            "email",
            f"{user.email} is invited already and has not answered yet. "
            "Mail the invitation again from the list.",
        )
    _admit("email", organization, user)
    if waiting is None:
        link, token = links.create(
            LinkPurpose.INVITATION, user=user, organization=organization, role=role, name=name
        )
    else:
        waiting.role, waiting.name = role, name
        link, token = waiting, links.renew(waiting)
    _record("invitation.sent", link, actor)
    return Invitation(link, user, token)


def _unused(organization: Organization | None) -> Select[AccountLink]:
    return select(AccountLink).where(
        AccountLink.purpose == LinkPurpose.INVITATION,
        AccountLink.organization_id.is_not_distinct_from(organization.id if organization else None),
        AccountLink.used_at.is_(None),
    )


def _check_amount(organization: Organization) -> None:
    sent = db.session.scalar(
        select(func.count())
        .select_from(AuditEntry)
        .where(
            AuditEntry.organization_id == organization.id,
            AuditEntry.action.in_(("invitation.sent", "invitation.resent")),
            AuditEntry.at > utcnow() - timedelta(days=1),
        )
    )
    if (sent or 0) >= MAILS_A_DAY:
        raise Invalid.field(
            "email",
            f"{organization.name} mailed {MAILS_A_DAY} invitations within a day, which is the most "
            "allowed. Go on tomorrow.",
        )


def _admit(field: str, organization: Organization | None, user: User) -> None:
    """Count one mail to the address, whether or not earlier invitations were withdrawn."""
    try:
        throttle.admit_invitation(user.email, organization.id if organization else None)
    except throttle.Throttled as full:
        when = f"{full.until + timedelta(minutes=1):%Y-%m-%d %H:%M} UTC"
        raise Invalid.field(
            field,
            f"{user.email} was mailed as many invitations as one address gets in a while. "
            f"Try again after {when}.",
        ) from None


def _person_acts(user: User, ip: str | None) -> Actor:
    return Actor(ActorType.USER, str(user.id), ip, user.name, user.is_system_administrator)


def _record(action: str, link: AccountLink, actor: Actor) -> None:
    role = link.role.value if link.role else "system_administrator"
    audit.record(
        actor,
        action,
        organization_id=link.organization_id,
        object_type="user",
        object_id=link.user_id,
        changes={"role": {"after": role}},
    )
