"""By which sender mail may go, and in whose name: what the settings say, kept for a moment.

Whether a sender is paused is asked in every transaction; everything else that is kept here changes
only when somebody changes settings, and workers are woken then.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from portal.clock import monotonic
from portal.delivery import identity, outbox
from portal.delivery.health import SENDER_FAILING, Pauses
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Kind
from portal.letters.compose import Identity
from portal.settings import effective
from portal.settings.effective import NoSender, Resolved
from portal.settings.scope import HOST, Scope
from portal.vault import VaultError

# In seconds: as long as a change may stay unseen where the call that tells of it is lost.
_GOOD_FOR = 0.5
_T = TypeVar("_T")
_Key = tuple[object, ...]


@dataclass(frozen=True)
class Way:
    """One sender that may carry the mail; `resolved` None: its secret does not open here."""

    sender_id: uuid.UUID
    resolved: Resolved | NoSender | None


class Ways:
    """Not thread-safe; needs an application context and may read the database."""

    def __init__(self) -> None:
        self._known: dict[_Key, object] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Settings changed: ask again."""
        self._known.clear()

    def refresh(self) -> None:
        """Call at the beginning of a transaction."""
        if monotonic() > self._until:
            self._known.clear()
            self._until = monotonic() + _GOOD_FOR

    def identity(self, organization_id: uuid.UUID | None, kind: Kind) -> Identity:
        return self._once(
            ("identity", organization_id, kind.is_security),
            lambda: identity.of(self._organization(organization_id), kind),
        )

    def daily_cap(self, organization_id: uuid.UUID) -> int | None:
        """How many mails of the organization the host's sender carries in a day."""

        def ask() -> int | None:
            own = effective.settings_of(Scope(organization_id)).daily_cap
            return effective.settings_of(HOST).daily_cap if own is None else own

        return self._once(("daily cap", organization_id), ask)

    def of(self, organization_id: uuid.UUID | None, kind: Kind) -> list[Way] | NoSender:
        """Every way that this mail may go, in the order to try."""
        return self._once(
            ("ways", organization_id, kind.key), lambda: self._found(organization_id, kind)
        )

    def find(
        self,
        organization_id: uuid.UUID | None,
        kind: Kind,
        user_id: uuid.UUID | None,
        pauses: Pauses,
        now: datetime,
    ) -> Resolved | str:
        """The sender of this try, or the reason why there is none now.

        `outbox.EXTERNAL` is final; with every other reason the mail waits.
        """
        ways = self.of(organization_id, kind)
        if isinstance(ways, NoSender):
            return ways.reason.value
        reason = SENDER_FAILING
        for way in ways:
            if not pauses.may_send(way.sender_id, now):
                continue
            resolved = way.resolved
            if resolved is None:
                reason = outbox.SECRET_DOES_NOT_OPEN
            elif isinstance(resolved, NoSender):
                continue
            elif not outbox.is_external_on_host(
                organization_id is not None, kind, user_id, resolved.level
            ):
                return resolved
            elif not resolved.is_fallback:
                return outbox.EXTERNAL
        return reason

    def first(self, organization_id: uuid.UUID | None, kind: Kind) -> uuid.UUID | None:
        """The sender that this mail waits for while none may send."""
        ways = self.of(organization_id, kind)
        return None if isinstance(ways, NoSender) else ways[0].sender_id

    def _found(self, organization_id: uuid.UUID | None, kind: Kind) -> list[Way] | NoSender:
        organization = self._organization(organization_id)
        senders = effective.routes(organization, kind)
        if isinstance(senders, NoSender):
            return senders
        owner = None if kind.is_security else organization
        ways = []
        for sender in senders:
            try:
                ways.append(
                    Way(sender.id, effective.resolve_sender(sender, owner, meant=senders[0]))
                )
            except VaultError:
                ways.append(Way(sender.id, None))
        return ways

    def _organization(self, organization_id: uuid.UUID | None) -> Organization | None:
        return db.session.get(Organization, organization_id) if organization_id else None

    def _once(self, key: _Key, ask: Callable[[], _T]) -> _T:
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]  # type: ignore[return-value]
