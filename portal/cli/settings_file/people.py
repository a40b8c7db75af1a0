"""The parts of a settings file about who: system administrators, members and API tokens."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.cli.settings_file import secrets
from portal.cli.settings_file.document import Problem, Section, Wrong
from portal.cli.settings_file.places import located
from portal.clock import utcnow
from portal.extensions import db
from portal.identity import administrators, members, person_names, tokens, users
from portal.identity.models import ApiToken, Organization, Role, User
from portal.validation import address_key


@dataclass(frozen=True)
class MadeToken:
    """An API token that was made: shown this once."""

    name: str
    secret: str = field(repr=False)


def apply_administrator(section: Section, folder: Path) -> list[str]:
    """Make a person a system administrator. Returns what changed. Raises Wrong."""
    user, done = _apply_person(section, folder)
    if not user.is_system_administrator:
        administrators.add(user, actor=OPERATOR)
        done.append(f"system administrator {user.email} added")
    return done


def administrators_first(sections: tuple[Section, ...]) -> list[Section]:
    """Whoever becomes an Administrator comes first, so that the last one may then step down."""
    return sorted(sections, key=lambda section: section.values["role"] != Role.ADMINISTRATOR)


def apply_member(organization: Organization, section: Section, folder: Path) -> list[str]:
    """Make a person a member in a role. Returns what changed. Raises Wrong."""
    role = _role(section)
    user, done = _apply_person(section, folder)
    before = members.membership_of(organization, user)
    known = before.role if before is not None else None
    with located(section):
        members.add(organization, user, role=role, actor=OPERATOR)
    if known is not role:
        verb = "added" if known is None else "changed"
        done.append(f"member {user.email} {verb}: {role.value}")
    return done


def apply_token(
    organization: Organization | None, section: Section, folder: Path
) -> dict[Path, MadeToken]:
    """Make the token if it is not there. Returns it by its file. Raises Wrong."""
    name = section.values["name"]
    if _is_there(organization, name):
        return {}
    path = folder / section.values["token_file"]
    secrets.check_token_file(section, path)
    with located(section):
        row, secret = tokens.create(
            organization, name=name, scopes=list(section.values["scopes"]), actor=OPERATOR
        )
    return {path: MadeToken(row.name, secret)}


def check_consistent(sections: Iterable[Section]) -> None:
    """One person has one name and one language, wherever the file speaks of them. Raises Wrong."""
    first: dict[tuple[str, str], Section] = {}
    problems: list[Problem] = []
    for section in sections:
        for key in ("name", "language"):
            value = section.get(key)
            if value is None:
                continue
            other = first.setdefault((address_key(section.values["email"]), key), section)
            if other.get(key) != value:
                message = f"The same person has another {key} on line {other.lines[key]}."
                problems.append(section.problem(key, message))
    if problems:
        raise Wrong(problems)


def _apply_person(section: Section, folder: Path) -> tuple[User, list[str]]:
    email = section.values["email"]
    user = users.by_email(email)
    if user is None:
        return _create(section, folder), [f"person {email} created"]
    with located(section, {"password": _password_key(section)}):
        return user, _change(user, section, folder)


def _create(section: Section, folder: Path) -> User:
    password = secrets.password(section, folder)
    email = section.values["email"]
    with located(section, {"password": _password_key(section)}):
        return users.create(
            email=email,
            name=section.get("name") or person_names.from_address(email),
            password=password,
            language=section.get("language"),
            actor=OPERATOR,
        )


def _change(user: User, section: Section, folder: Path) -> list[str]:
    """The password of a person who has one is their own: it stays."""
    done = []
    if user.password_hash is None and (password := secrets.password(section, folder)):
        users.give_password(user, name=section.get("name") or user.name, password=password)
        user.verified_at = user.verified_at or utcnow()
        done.append(f"person {user.email} got a password")
    name = section.get("name") or user.name
    language = section.get("language") or user.language
    if (name, language) != (user.name, user.language):
        users.change_profile(
            user, name=name, language=language, timezone=user.timezone, actor=OPERATOR
        )
        done.append(f"person {user.email} changed")
    return done


def _role(section: Section) -> Role:
    try:
        return Role(section.values["role"])
    except ValueError:
        message = f"Write one of {', '.join(Role)}."
        raise Wrong([section.problem("role", message)]) from None


def _password_key(section: Section) -> str:
    return "password_env" if section.get("password_env") else "password_file"


def _is_there(organization: Organization | None, name: str) -> bool:
    found = db.session.scalars(
        select(ApiToken).where(
            ApiToken.organization_id.is_not_distinct_from(
                organization.id if organization else None
            ),
            ApiToken.name == name.strip(),
            ApiToken.revoked_at.is_(None),
        )
    )
    return any(row.expires_at is None or row.expires_at > utcnow() for row in found)
