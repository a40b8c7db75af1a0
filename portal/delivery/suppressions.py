"""The suppression list: addresses whose mailbox is not there, as mail servers have said.

Each organization has its own, and the host has one for its own mail. After a refusal mail to the
address stops for a day, and then is tried once more; after the third it stops until somebody
lifts it. Security mail is tried all the same: it is one mail that a person waits for.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    bindparam,
    delete,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from portal.audit import log as audit
from portal.clock import new_id, utcnow
from portal.database import UtcDateTime, text_enum
from portal.delivery.models import Delivery, Level
from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.kinds import Kind
from portal.prepared import PreparedSelect
from portal.settings.scope import Scope
from portal.smtp.address_faults import AddressFault, address_fault
from portal.smtp.values import Failure
from portal.validation import address_key

BOUNCED = "bounced_address"
# Servers err: in December 2020 Gmail called accounts unknown that were there, for two days.
REST = timedelta(days=1)
FOR_GOOD = 3


class Suppression(db.Model):
    """One address of a list, with the refusal that counted last and the mail that met it."""

    __tablename__ = "suppressions"
    __table_args__ = (Index("ix_suppressions_organization_id_id", "organization_id", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    # Scope and folded address: what is looked up, and unique where NULL could not be.
    key: Mapped[str] = mapped_column(String(560), unique=True)
    address: Mapped[str] = mapped_column(String(254))
    cause: Mapped[AddressFault] = mapped_column(text_enum(AddressFault))
    code: Mapped[int | None] = mapped_column()
    enhanced_code: Mapped[str | None] = mapped_column(String(16))
    reply: Mapped[str | None] = mapped_column(Text)
    level: Mapped[Level | None] = mapped_column(text_enum(Level))
    server: Mapped[str | None] = mapped_column(String(253))
    ip: Mapped[str | None] = mapped_column(String(45))
    # No foreign key: the entry outlives the record.
    delivery_id: Mapped[uuid.UUID] = mapped_column()
    refusals: Mapped[int] = mapped_column(default=1)
    refused_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)

    @property
    def is_for_good(self) -> bool:
        """Whether only a person ends it."""
        return self.refusals >= FOR_GOOD

    @property
    def rests_until(self) -> datetime | None:
        """When the next mail is tried; None: not before it is lifted."""
        return None if self.is_for_good else self.refused_at + REST

    @property
    def stops_mail(self) -> bool:
        return self.rests_until is None or self.rests_until > utcnow()


class Listed:
    """Which of these addresses get no mail now: one look for all of a transaction, at the first
    question."""

    def __init__(self, addresses: Iterable[tuple[uuid.UUID | None, str]]) -> None:
        """`addresses`: each with its organization; None is the host."""
        self._addresses = addresses
        self._keys: set[str] | None = None

    def stops(self, organization_id: uuid.UUID | None, address: str, kind: Kind) -> bool:
        if kind.is_security:
            return False
        if self._keys is None:
            self._keys = _stopped({key_of(*one) for one in self._addresses})
        return bool(self._keys) and key_of(organization_id, address) in self._keys


def key_of(organization_id: uuid.UUID | None, address: str) -> str:
    """Whoever wants two mailboxes whose names differ in case alone (RFC 5321, 2.4) has no luck
    with other people's servers either."""
    return f"{Scope(organization_id).key}:{address_key(address)}"


def note(delivery: Delivery, failure: Failure) -> None:
    """Put the recipient on the list where the refusal says that the mailbox is not there; the
    caller commits. What is refused while mail to it is stopped does not count again."""
    cause = address_fault(failure)
    if cause is None or not _lives(delivery.organization_id):
        return
    now = utcnow()
    refusal = {
        "cause": cause,
        "code": failure.code,
        "enhanced_code": failure.enhanced_code,
        "reply": failure.reply,
        "level": delivery.level,
        "server": delivery.server,
        "ip": delivery.ip,
        "delivery_id": delivery.id,
        "refused_at": now,
    }
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    upsert = (
        dialect.insert(Suppression)
        .values(
            id=new_id(),
            organization_id=delivery.organization_id,
            key=key_of(delivery.organization_id, delivery.recipient),
            address=delivery.recipient,
            refusals=1,
            created_at=now,
            **refusal,
        )
        .on_conflict_do_update(
            index_elements=[Suppression.key],
            set_={**refusal, "refusals": Suppression.refusals + 1},
            where=~stops_now(now),
        )
        .returning(Suppression.id, Suppression.refusals)
    )
    row = db.session.execute(upsert).one_or_none()
    if row is not None:
        _record(delivery, row.id, row.refusals, cause)


def stops_now(now: datetime) -> ColumnElement[bool]:
    """The condition of entries whose address gets no mail at that time."""
    return _stops(now - REST)


def _stops(rest_began: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return or_(Suppression.refusals >= FOR_GOOD, Suppression.refused_at > rest_began)


def forget(organization_id: uuid.UUID | None) -> None:
    """Delete the list of an organization that was deleted; the caller commits."""
    db.session.execute(
        delete(Suppression)
        .where(Suppression.organization_id == organization_id)
        .execution_options(synchronize_session=False)
    )


def _stopped(keys: Collection[str]) -> set[str]:
    found = _STOPPED.rows(keys=sorted(keys), rest_began=utcnow() - REST) if keys else []
    return {key for (key,) in found}


def _lives(organization_id: uuid.UUID | None) -> bool:
    """Locked against being deleted before the entry is there: its list goes with it."""
    if organization_id is None:
        return True
    state = db.session.scalar(
        select(Organization.state)
        .where(Organization.id == organization_id)
        .with_for_update(read=True, key_share=True)
    )
    return state is not OrganizationState.DELETED


def _record(
    delivery: Delivery, suppression_id: uuid.UUID, refusals: int, cause: AddressFault
) -> None:
    audit.record(
        audit.SYSTEM,
        "suppression.added" if refusals == 1 else "suppression.refused_again",
        organization_id=delivery.organization_id,
        object_type="suppression",
        object_id=suppression_id,
        changes={
            "cause": {"before": None, "after": cause.value},
            "refusals": {"before": refusals - 1, "after": refusals},
            "delivery": {"before": None, "after": str(delivery.id)},
        },
    )


_list = cast(Table, Suppression.__table__)
_STOPPED = PreparedSelect(
    lambda among: select(_list.c.key).where(
        among(_list.c.key, "keys"), _stops(bindparam("rest_began"))
    )
)
