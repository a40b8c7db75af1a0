"""One-time links: set-up, invitation, recovery. 256 random bits, stored as SHA-256, used once."""

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update

from portal.clock import utcnow
from portal.extensions import db
from portal.identity.models import AccountLink, LinkPurpose, Organization, Role, User
from portal.identity.tokens import digest, new_secret

LIFETIMES = {
    LinkPurpose.SETUP: timedelta(hours=24),
    LinkPurpose.INVITATION: timedelta(hours=48),
    LinkPurpose.RECOVERY: timedelta(minutes=60),
}


class LinkState(StrEnum):
    """What a link is worth at this moment."""

    USABLE = "usable"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"


class LinkRefused(Exception):
    """The link cannot be used; `state` says why. Nothing has been changed."""

    def __init__(self, purpose: LinkPurpose, state: LinkState) -> None:
        self.purpose = purpose
        self.state = state
        super().__init__(f"{purpose.value} link: {state.value}")


class AlreadySetUp(Exception):
    """There is a system administrator; a set-up link would be a back door."""


def create_setup_link() -> str:
    """The token of a new set-up link; earlier ones end. The caller commits.

    Raises AlreadySetUp once there is a system administrator.
    """
    if is_set_up():
        raise AlreadySetUp
    db.session.execute(
        delete(AccountLink).where(
            AccountLink.purpose == LinkPurpose.SETUP, AccountLink.used_at.is_(None)
        )
    )
    _link, token = create(LinkPurpose.SETUP)
    return token


def is_set_up() -> bool:
    """Whether there is a system administrator."""
    return (
        db.session.scalar(select(User.id).where(User.is_system_administrator).limit(1)) is not None
    )


def create(
    purpose: LinkPurpose,
    *,
    user: User | None = None,
    organization: Organization | None = None,
    role: Role | None = None,
    name: str | None = None,
) -> tuple[AccountLink, str]:
    """A new link and its token, which cannot be had again."""
    token = new_secret()
    link = AccountLink(
        token_hash=digest(token),
        purpose=purpose,
        user_id=user.id if user else None,
        organization_id=organization.id if organization else None,
        role=role,
        name=name,
        expires_at=utcnow() + LIFETIMES[purpose],
    )
    db.session.add(link)
    db.session.flush()
    return link, token


def renew(link: AccountLink) -> str:
    """Give an unused link a new token and its whole lifetime; the old token opens nothing."""
    token = new_secret()
    link.token_hash = digest(token)
    link.created_at = utcnow()
    link.expires_at = link.created_at + LIFETIMES[link.purpose]
    db.session.flush()
    return token


def end_unused(purpose: LinkPurpose, user: User) -> None:
    """The person's links of that purpose open nothing any more."""
    db.session.execute(
        delete(AccountLink).where(
            AccountLink.purpose == purpose,
            AccountLink.user_id == user.id,
            AccountLink.used_at.is_(None),
        )
    )


def find(purpose: LinkPurpose, token: str) -> AccountLink:
    """The usable link of a token. Raises LinkRefused."""
    link = db.session.scalar(
        select(AccountLink).where(
            AccountLink.token_hash == digest(token), AccountLink.purpose == purpose
        )
    )
    state = state_of(link)
    if link is None or state is not LinkState.USABLE:
        raise LinkRefused(purpose, state)
    return link


def state_of(link: AccountLink | None) -> LinkState:
    if link is None:
        return LinkState.UNKNOWN
    if link.used_at is not None:
        return LinkState.USED
    return LinkState.EXPIRED if link.expires_at <= utcnow() else LinkState.USABLE


def use(link: AccountLink) -> None:
    """Spend the link. Of many callers at once one gets through; the others meet LinkRefused.

    The person's other links of the same purpose are spent with it, so that none is left behind.
    """
    now = utcnow()
    spent = db.session.scalars(
        update(AccountLink)
        .where(
            AccountLink.purpose == link.purpose,
            AccountLink.user_id.is_not_distinct_from(link.user_id),
            AccountLink.organization_id.is_not_distinct_from(link.organization_id),
            AccountLink.used_at.is_(None),
            AccountLink.expires_at > now,
        )
        .values(used_at=now)
        .returning(AccountLink.id)
        .execution_options(synchronize_session=False)
    ).all()
    if link.id not in spent:
        raise LinkRefused(link.purpose, LinkState.USED)
