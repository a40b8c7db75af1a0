"""Names of people and tokens by id, looked up when a page shows them and never stored elsewhere."""

import uuid
from collections.abc import Iterable

from sqlalchemy import Select, select

from portal.extensions import db
from portal.identity.models import ApiToken, Membership, Organization, User


def of_users(ids: Iterable[str | None]) -> dict[str, str]:
    """Id to name; ids that are none, or of nobody, are left out."""
    return _named(User, ids)


def of_tokens(ids: Iterable[str | None]) -> dict[str, str]:
    return _named(ApiToken, ids)


def of_organizations(ids: Iterable[str | None]) -> dict[str, str]:
    return _named(Organization, ids)


def actors_called(text: str, organization: Organization) -> list[str]:
    """Ids of people and tokens whose name holds the text; addresses count for members alone."""
    members = select(Membership.user_id).where(Membership.organization_id == organization.id)
    people = select(User.id).where(
        User.name.icontains(text, autoescape=True)
        | (User.email.icontains(text, autoescape=True) & User.id.in_(members))
    )
    tokens = select(ApiToken.id).where(
        ApiToken.name.icontains(text, autoescape=True),
        ApiToken.organization_id.is_(None) | (ApiToken.organization_id == organization.id),
    )
    return _ids(people, tokens)


def actors_called_anywhere(text: str) -> list[str]:
    """Ids of people and tokens whose name or address holds the text, for the host."""
    people = select(User.id).where(
        User.name.icontains(text, autoescape=True) | User.email.icontains(text, autoescape=True)
    )
    tokens = select(ApiToken.id).where(ApiToken.name.icontains(text, autoescape=True))
    return _ids(people, tokens)


def _ids(*queries: Select[uuid.UUID]) -> list[str]:
    return [str(found) for query in queries for found in db.session.scalars(query.limit(500))]


def _named(
    model: type[User] | type[ApiToken] | type[Organization], ids: Iterable[str | None]
) -> dict[str, str]:
    wanted = {found for text in ids if (found := _uuid(text)) is not None}
    if not wanted:
        return {}
    rows = db.session.execute(select(model.id, model.name).where(model.id.in_(wanted)))
    return {str(key): name for key, name in rows}


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
