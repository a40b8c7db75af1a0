"""API tokens and other bearer secrets: shown once, stored as SHA-256.

A token holds 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import utcnow
from portal.extensions import db
from portal.identity.models import ApiToken, Organization, OrganizationState, User
from portal.identity.policy import Scope
from portal.validation import Invalid, one_line

_PREFIX = "gp_"


def digest(secret: str) -> str:
    """The SHA-256 of a bearer secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def create(
    organization: Organization | None,
    *,
    name: str,
    scopes: list[str],
    actor: Actor,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token of the organization, or of the host (None). Returns the row and the secret.

    Raises Invalid. The secret cannot be had again.
    """
    name = one_line("name", name, longest=100)
    if not name:
        raise Invalid.field("name", "Name the system that will use this token, for example ci.")
    organization_id = organization.id if organization else None
    _lock(organization)
    if any(other.name == name and is_usable(other) for other in of(organization)):
        raise Invalid.field(
            "name", f"There is a token named {name}. Revoke it first, or choose another name."
        )
    secret = _PREFIX + new_secret()
    row = ApiToken(
        organization_id=organization_id,
        name=name,
        token_hash=digest(secret),
        hint=secret[:7] + "…",
        scopes=_checked(scopes),
        created_by=actor.id,
        expires_at=expires_at,
    )
    db.session.add(row)
    db.session.flush()
    audit.record(
        actor,
        "token.created",
        organization_id=row.organization_id,
        object_type="api_token",
        object_id=row.id,
        changes={"name": {"before": None, "after": name}, "scopes": {"after": row.scopes}},
    )
    return row, secret


def of(organization: Organization | None) -> list[ApiToken]:
    """The tokens of the organization, or of the host (None), newest first; also ended ones."""
    organization_id = organization.id if organization else None
    return list(
        db.session.scalars(
            select(ApiToken)
            .where(ApiToken.organization_id.is_not_distinct_from(organization_id))
            .order_by(ApiToken.id.desc())
        )
    )


def find(organization: Organization | None, token_id: uuid.UUID) -> ApiToken | None:
    """The token, if it is one of this organization, or of the host (None)."""
    return next((token for token in of(organization) if token.id == token_id), None)


def revoke(token: ApiToken, *, actor: Actor) -> None:
    """End a token at once."""
    if token.revoked_at is None:
        token.revoked_at = utcnow()
        audit.record(
            actor,
            "token.revoked",
            organization_id=token.organization_id,
            object_type="api_token",
            object_id=token.id,
        )


def authenticate(authorization: str) -> ApiToken | None:
    """The token of an `Authorization: Bearer` header (RFC 6750), or None."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return None
    token = db.session.scalar(select(ApiToken).where(ApiToken.token_hash == digest(secret.strip())))
    return token if token is not None and is_usable(token) else None


def note_use(token: ApiToken) -> bool:
    """Remember when a token was last used, to the minute. True where that must be committed."""
    now = utcnow()
    if token.last_used_at is not None and now - token.last_used_at < timedelta(minutes=1):
        return False
    token.last_used_at = now
    return True


def is_usable(token: ApiToken) -> bool:
    """Whether the token opens anything at this moment."""
    if token.revoked_at is not None or (token.expires_at and token.expires_at <= utcnow()):
        return False
    organization = token.organization
    return organization is None or organization.state is not OrganizationState.DELETED


def _lock(organization: Organization | None) -> None:
    """Let no one else make a token of this owner until this transaction ends: the name of one
    that is in force is unique, that of an ended one is free, which no index can say.

    PostgreSQL locks rows; on SQLite a transaction that may write is alone already.
    """
    if organization is not None:
        rows = select(Organization.id).where(Organization.id == organization.id)
    else:
        rows = select(User.id).where(User.is_system_administrator).order_by(User.id)
    db.session.execute(rows.with_for_update())


def _checked(scopes: list[str]) -> list[str]:
    known = [scope.value for scope in Scope]
    if not scopes or any(scope not in known for scope in scopes):
        raise Invalid.field("scopes", f"Choose at least one of {', '.join(known)}.")
    return [scope for scope in known if scope in scopes]
