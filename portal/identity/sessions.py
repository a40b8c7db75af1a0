"""Sign-in sessions, kept in our own table: listed, revocable, with idle and absolute limits."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from flask_login import UserMixin
from sqlalchemy import delete, select

from portal.clock import utcnow
from portal.extensions import db
from portal.identity.models import SignInSession, User
from portal.identity.tokens import digest, new_secret

_IDLE = timedelta(hours=12)
_ABSOLUTE = timedelta(days=7)
_IDLE_ADMINISTRATOR = timedelta(hours=2)
_ABSOLUTE_ADMINISTRATOR = timedelta(hours=24)
_TOUCH_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class SignedIn(UserMixin):
    """What Flask-Login carries: its id is the opaque secret of the session, not of the user."""

    session: SignInSession
    secret: str

    def get_id(self) -> str:
        return self.secret


def start(user: User, *, ip: str | None, user_agent: str | None) -> SignedIn:
    """A new session with a new id for a person whose password was right."""
    secret = new_secret()
    row = SignInSession(
        token_hash=digest(secret), user=user, ip=ip, user_agent=(user_agent or "")[:300]
    )
    db.session.add(row)
    db.session.flush()
    return SignedIn(row, secret)


def load(secret: str) -> SignedIn | None:
    """The session of a cookie, or None where it ended, expired or never was."""
    row = db.session.scalar(select(SignInSession).where(SignInSession.token_hash == digest(secret)))
    if row is None or _is_over(row):
        return None
    return SignedIn(row, secret)


def needs_touch(row: SignInSession) -> bool:
    """Whether `last_seen_at` is old enough to be written again."""
    return utcnow() - row.last_seen_at > _TOUCH_AFTER


def of(user_id: uuid.UUID) -> list[SignInSession]:
    """The sessions of a person that are not over, the one last used first."""
    found = db.session.scalars(
        select(SignInSession)
        .where(SignInSession.user_id == user_id)
        .order_by(SignInSession.last_seen_at.desc())
    )
    return [row for row in found if not _is_over(row)]


def find(user_id: uuid.UUID, session_id: uuid.UUID) -> SignInSession | None:
    """The session, if it is one of this person."""
    return db.session.scalar(
        select(SignInSession).where(
            SignInSession.user_id == user_id, SignInSession.id == session_id
        )
    )


def end(row: SignInSession) -> None:
    db.session.delete(row)


def end_all(user_id: uuid.UUID, *, but: uuid.UUID | None = None) -> None:
    """End every session of a person, for example after a change of password."""
    statement = delete(SignInSession).where(SignInSession.user_id == user_id)
    if but is not None:
        statement = statement.where(SignInSession.id != but)
    db.session.execute(statement)


def _is_over(row: SignInSession) -> bool:
    administrator = row.user.is_system_administrator
    idle = _IDLE_ADMINISTRATOR if administrator else _IDLE
    absolute = _ABSOLUTE_ADMINISTRATOR if administrator else _ABSOLUTE
    now = utcnow()
    return now - row.last_seen_at > idle or now - row.created_at > absolute
