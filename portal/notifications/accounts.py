"""Mail about accounts: invitation and password recovery. Links are built from PORTAL_BASE_URL
alone, never from what a request claims to be sent to."""

from flask import current_app

from portal import kinds
from portal.audit import log as audit
from portal.audit.log import Actor, ActorType
from portal.config import Config
from portal.delivery import outbox
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import (
    administrators,
    invitations,
    links,
    members,
    organization_names,
    organizations,
    person_names,
    throttle,
    users,
)
from portal.identity.invitations import Invitation
from portal.identity.models import AccountLink, LinkPurpose, Organization, Role, User
from portal.settings import changes
from portal.settings.scope import HOST
from portal.validation import FieldError, Invalid

_INVITATION = kinds.BY_KEY["security.invitation"]
_RECOVERY = kinds.BY_KEY["security.password_recovery"]


def set_up(
    token: str, *, name: str, email: str, password: str, platform: str, ip: str | None
) -> User:
    """The first system administrator and the platform's name, by the set-up link.

    Raises Invalid, and LinkRefused where the link is spent or somebody else was first.
    """
    link = links.find(LinkPurpose.SETUP, token)
    user = users.set_up(link, name=name, email=email, password=password, ip=ip)
    actor = Actor(ActorType.USER, str(user.id), ip, user.name, is_host=True)
    changes.save_mail_settings(HOST, {"display_name": platform}, actor=actor)
    return user


def invite(
    organization: Organization, *, email: str, name: str, role: Role, actor: Actor
) -> Invitation:
    """Invite a person into the organization by mail. Raises Invalid."""
    invitation = invitations.invite(organization, email=email, name=name, role=role, actor=actor)
    _mail_invitation(invitation, actor)
    return invitation


def create_organization(
    *,
    name: str,
    short_name: str,
    administrator_email: str | None,
    administrator_name: str,
    actor: Actor,
) -> tuple[Organization, Invitation | None]:
    """A new organization with its first Administrator, if one is named: who has an account is one
    at once, others are invited. Raises Invalid."""
    organization = organizations.create(name=name, short_name=short_name, actor=actor)
    if administrator_email is None:
        return organization, None
    user = users.by_email(administrator_email)
    if users.has_account(user):
        members.add(organization, user, role=Role.ADMINISTRATOR, actor=actor)
        return organization, None
    try:
        return organization, invite(
            organization,
            email=administrator_email,
            name=administrator_name,
            role=Role.ADMINISTRATOR,
            actor=actor,
        )
    except Invalid as invalid:
        raise Invalid(
            FieldError(f"administrator_{error.field}", error.message) for error in invalid.errors
        ) from None


def add_system_administrator(*, email: str, name: str, actor: Actor) -> Invitation | None:
    """Who has an account is a system administrator at once (None); others are invited by mail.

    Raises Invalid.
    """
    user = users.by_email(email)
    if users.has_account(user) and not user.is_system_administrator:
        administrators.add(user, actor=actor)
        return None
    invitation = invitations.invite_to_host(email=email, name=name, actor=actor)
    _mail_invitation(invitation, actor)
    return invitation


def resend(link: AccountLink, *, actor: Actor) -> None:
    """Mail an invitation again, with a new link. Raises Invalid."""
    _mail_invitation(invitations.resend(link, actor=actor), actor)


def ask_recovery(email: str, *, ip: str | None) -> None:
    """Mail a recovery link, where the address belongs to an account.

    Does the same work for an address that belongs to none, and takes it back: neither the answer
    nor its time tells them apart. Raises Invalid for what is no address, Throttled.
    """
    address = users.account_email("email", email)
    user = users.by_email(address)
    is_within_limit = throttle.admit_recovery(address, ip=ip)
    is_meant = users.has_account(user) and is_within_limit
    rehearsal = db.session.begin_nested()
    _mail_recovery(user if is_meant else None, address, ip)
    if is_meant:
        rehearsal.commit()
    else:
        rehearsal.rollback()


def renew_recovery(user: User, *, actor: Actor) -> None:
    """Mail a new recovery link in place of one whose mail may not have arrived."""
    links.end_unused(LinkPurpose.RECOVERY, user)
    _mail_recovery(user, user.email, actor.ip)


def _mail_invitation(invitation: Invitation, actor: Actor) -> None:
    link, user = invitation.link, invitation.user
    # Who has no account is called as this invitation says, never as another one did.
    called = user.name if users.has_account(user) else link.name
    outbox.enqueue(
        link.organization,
        _INVITATION,
        data={
            "person_name": person_names.acceptable(called),
            "organization_name": (
                organization_names.quotable(link.organization) if link.organization else None
            ),
            "role": link.role.value if link.role else "system_administrator",
            "invited_by": person_names.acceptable(actor.name),
        },
        addressees=[_addressee(user, {"invitation_url": _url("invitation", invitation.token)})],
        requested_from=actor.ip,
        expires_at=link.expires_at,
    )


def _mail_recovery(user: User | None, address: str, ip: str | None) -> None:
    link, token = links.create(LinkPurpose.RECOVERY, user=user)
    secrets = {"recovery_url": _url("recovery", token)}
    outbox.enqueue(
        None,
        _RECOVERY,
        data={"person_name": user.name if user else address, "requested_from": ip},
        addressees=[_addressee(user, secrets) if user else Addressee(address, secrets=secrets)],
        requested_from=ip,
        expires_at=link.expires_at,
    )
    audit.record(
        Actor(ActorType.SYSTEM, None, ip),
        "user.recovery_asked",
        organization_id=None,
        object_type="user",
        object_id=user.id if user else None,
    )


def _addressee(user: User, secrets: dict[str, str]) -> Addressee:
    return Addressee(
        address=user.email,
        user_id=user.id,
        language=user.language,
        timezone=user.timezone,
        secrets=secrets,
    )


def _url(page: str, token: str) -> str:
    config: Config = current_app.extensions["config"]
    return f"{config.base_url}/{page}/{token}"
