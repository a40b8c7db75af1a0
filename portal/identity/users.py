"""People: finding, making, signing in, profile and password."""

import zoneinfo
from typing import TypeGuard

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.audit import log as audit
from portal.audit.log import Actor, ActorType
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import links, passwords, person_names, sessions
from portal.identity.models import AccountLink, SignInSession, User
from portal.validation import Invalid, address_key, email_address

LANGUAGES = ("en", "zh")


def account_email(field: str, value: str) -> str:
    """The address as accounts hold it: normal form, all in lower case. Raises Invalid."""
    return address_key(email_address(field, value))


def by_email(email: str) -> User | None:
    """The person of an address, in any case; None also for what is no address."""
    try:
        address = account_email("email", email)
    except Invalid:
        return None
    return db.session.scalar(select(User).where(User.email == address))


def is_alone() -> bool:
    """Whether nobody was invited yet beside the first system administrator."""
    return len(db.session.scalars(select(User.id).limit(2)).all()) < 2


def has_account(user: User | None) -> TypeGuard[User]:
    """Whether this is more than a person who was invited and has not accepted.

    Who was created by an operator without a password counts: recovery gives them one.
    """
    return user is not None and (user.password_hash is not None or user.verified_at is not None)


def authenticate(email: str, password: str) -> User | None:
    """The person whose password this is. Takes the same time for an account that is not there."""
    user = by_email(email)
    password_hash = user.password_hash if user is not None else None
    # Nothing may wait for the database while the hash is computed.
    db.session.rollback()
    if not passwords.matches(password, password_hash) or user is None:
        return None
    return user


def create(
    *,
    email: str,
    name: str,
    actor: Actor,
    password: str | None = None,
    is_system_administrator: bool = False,
    language: str | None = None,
    is_verified: bool = True,
) -> User:
    """A new person. Raises Invalid for a refused value and for an address that has an account."""
    address, name = account_email("email", email), person_names.check("name", name)
    if language is not None and language not in LANGUAGES:
        raise Invalid.field("language", f"Choose one of {', '.join(LANGUAGES)}.")
    user = User(
        email=address,
        name=name,
        password_hash=_new_hash("password", password, name, address) if password else None,
        language=language,
        is_system_administrator=is_system_administrator,
        verified_at=utcnow() if is_verified else None,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
    except IntegrityError:
        raise Invalid.field("email", f"{address} has an account already.") from None
    audit.record(
        actor,
        "user.created",
        organization_id=None,
        object_type="user",
        object_id=user.id,
        changes={"is_system_administrator": {"after": is_system_administrator}},
    )
    return user


def set_up(link: AccountLink, *, name: str, email: str, password: str, ip: str | None) -> User:
    """The first system administrator, by the set-up link, which is spent.

    Raises Invalid, and LinkRefused where somebody else was first.
    """
    if links.is_set_up():
        raise links.LinkRefused(link.purpose, links.LinkState.USED)
    links.use(link)
    return create(
        email=email,
        name=name,
        password=password,
        is_system_administrator=True,
        actor=Actor(ActorType.SYSTEM, None, ip, "set-up", is_host=True),
    )


def recover(link: AccountLink, *, password: str, ip: str | None) -> User:
    """A new password by a recovery link, which is spent; every session of the person ends.

    Raises Invalid, and LinkRefused where the link was spent meanwhile.
    """
    assert link.user is not None
    user = link.user
    new_hash = _new_hash("password", password, user.name, user.email)
    links.use(link)
    user.password_hash = new_hash
    user.verified_at = user.verified_at or utcnow()
    sessions.end_all(user.id)
    _record_password(user, "user.password_recovered", ip=ip)
    return user


def change_password(user: User, *, new: str, session: SignInSession | None, ip: str | None) -> None:
    """A new password for who gave the old one; their other sessions end. Raises Invalid."""
    user.password_hash = _new_hash("new_password", new, user.name, user.email)
    sessions.end_all(user.id, but=session.id if session else None)
    _record_password(user, "user.password_changed", ip=ip)


def change_profile(
    user: User, *, name: str, language: str | None, timezone: str, actor: Actor
) -> None:
    """What the person says about themselves. Raises Invalid."""
    # One from before the rules stays until it is changed.
    name = person_names.check("name", name) if name != user.name else name
    if language is not None and language not in LANGUAGES:
        raise Invalid.field("language", f"Choose one of {', '.join(LANGUAGES)}.")
    if timezone not in zoneinfo.available_timezones():
        raise Invalid.field("timezone", "Choose a time zone, for example Asia/Shanghai.")
    before = {"language": user.language, "timezone": user.timezone}
    changes = audit.difference(before, {"language": language, "timezone": timezone})
    if name != user.name:
        # The name itself stays out: an audit entry outlives a person who was erased.
        changes["name"] = {"before": "set", "after": "changed"}
    user.name, user.language, user.timezone = name, language, timezone
    if changes:
        audit.record(
            actor,
            "user.changed",
            organization_id=None,
            object_type="user",
            object_id=user.id,
            changes=changes,
        )


def give_password(user: User, *, name: str, password: str) -> None:
    """Name and first password of a person who was invited. Raises Invalid."""
    name = person_names.check("name", name)
    user.password_hash = _new_hash("password", password, name, user.email)
    user.name = name


def _new_hash(field: str, password: str, name: str, email: str) -> str:
    about = (*name.split(), email, email.partition("@")[0])
    words = tuple(word for word in about if len(word) > 2)
    return passwords.hash_password(passwords.check_new(field, password, about=words))


def _record_password(user: User, action: str, *, ip: str | None) -> None:
    audit.record(
        Actor(ActorType.USER, str(user.id), ip, user.name, user.is_system_administrator),
        action,
        organization_id=None,
        object_type="user",
        object_id=user.id,
        changes={"password": {"before": "set", "after": "replaced"}},
    )
