"""Who is told: from audience entries to addresses, with a reason for everyone left out.

`choose` is pure: it sees people and entries, and answers for each person considered.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.identity.models import Membership, Organization, Role
from portal.validation import Invalid, address_key, email_address

# So many are stored at once while everybody else's changes wait: below a second on SQLite, where
# one change goes at a time.
MOST = 10_000


class LeftOutReason(StrEnum):
    NOT_A_MEMBER = "not_a_member"
    NOT_VERIFIED = "no_verified_address"


@dataclass(frozen=True)
class Person:
    """A member as routing sees one."""

    user_id: uuid.UUID
    address: str
    role: Role
    language: str | None
    timezone: str
    is_verified: bool
    name: str = ""


@dataclass(frozen=True)
class Chosen:
    """An address to write to. `person` None: an address outside the organization."""

    address: str
    person: Person | None
    entry: str


@dataclass(frozen=True)
class Omitted:
    """Someone who was considered and gets no mail."""

    entry: str
    user_id: uuid.UUID | None
    reason: LeftOutReason


@dataclass(frozen=True)
class Recipients:
    chosen: tuple[Chosen, ...]
    omitted: tuple[Omitted, ...]


def parse_audience(field: str, entries: Sequence[object]) -> list[str]:
    """Audience entries in their normal form. A bare address means `address:`. Raises Invalid."""
    return [_entry(f"{field}.{number}", entry) for number, entry in enumerate(entries)]


def refuse_too_many(field: str, number: int, cure: str) -> None:
    """Raises Invalid where more than MOST entries are named."""
    if number > MOST:
        raise Invalid.field(field, f"Name at most {MOST:,}; these are {number:,}. {cure}")


def choose(people: Sequence[Person], audience: Sequence[str]) -> Recipients:
    """The addresses for an audience, each once, in the order in which they were named."""
    by_address = {address_key(person.address): person for person in people}
    chosen: dict[str, Chosen] = {}
    omitted: dict[str, Omitted] = {}
    for entry in audience:
        kind, _, value = entry.partition(":")
        if kind == "role":
            for person in people:
                if person.role.value == value:
                    _consider(person, entry, chosen, omitted)
        elif (named := by_address.get(address_key(value))) is not None:
            _consider(named, entry, chosen, omitted)
        elif kind == "user":
            omitted[address_key(value)] = Omitted(entry, None, LeftOutReason.NOT_A_MEMBER)
        else:
            chosen.setdefault(address_key(value), Chosen(value, None, entry))
    return Recipients(tuple(chosen.values()), tuple(omitted.values()))


def people_of(organization: Organization) -> list[Person]:
    """Every member of the organization."""
    memberships = db.session.scalars(
        select(Membership)
        .where(Membership.organization_id == organization.id)
        .options(joinedload(Membership.user))
        .order_by(Membership.created_at, Membership.id)
    )
    return [
        Person(
            membership.user_id,
            membership.user.email,
            membership.role,
            membership.user.language,
            membership.user.timezone,
            membership.user.verified_at is not None,
            membership.user.name,
        )
        for membership in memberships
    ]


def _consider(
    person: Person, entry: str, chosen: dict[str, Chosen], omitted: dict[str, Omitted]
) -> None:
    key = address_key(person.address)
    if person.is_verified:
        chosen.setdefault(key, Chosen(person.address, person, entry))
    else:
        omitted.setdefault(key, Omitted(entry, person.user_id, LeftOutReason.NOT_VERIFIED))


def _entry(field: str, raw: object) -> str:
    if not isinstance(raw, str):
        raise Invalid.field(field, "Give an address, or an audience such as role:administrator.")
    kind, colon, value = raw.strip().partition(":")
    if not colon:
        return f"address:{email_address(field, raw)}"
    if kind == "role":
        if value not in [role.value for role in Role]:
            raise Invalid.field(field, "Use role:administrator or role:member.")
        return f"role:{value}"
    if kind in ("user", "address"):
        return f"{kind}:{email_address(field, value)}"
    raise Invalid.field(
        field, "Use role:administrator, role:member, user:<address> or address:<address>."
    )
