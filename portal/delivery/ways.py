"""By which sender mail may go now: what the settings say, asked once in a transaction."""

import uuid
from collections.abc import Callable
from typing import TypeVar

from portal.clock import utcnow
from portal.delivery import health, identity, outbox
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Kind
from portal.letters.compose import Identity
from portal.settings import effective
from portal.settings.effective import NoSender, Resolved
from portal.settings.models import Sender
from portal.vault import VaultError

_T = TypeVar("_T")


class Ways:
    """Good for one transaction: nothing that it remembers is asked again."""

    def __init__(self) -> None:
        self._now = utcnow()
        self._known: dict[tuple[object, ...], object] = {}

    def organization(self, organization_id: uuid.UUID | None) -> Organization | None:
        if organization_id is None:
            return None
        return self._once(
            ("organization", organization_id), lambda: db.session.get(Organization, organization_id)
        )

    def identity(self, organization: Organization | None, kind: Kind) -> Identity:
        key = ("identity", _id(organization), kind.is_security)
        return self._once(key, lambda: identity.of(organization, kind))

    def senders(self, organization: Organization | None, kind: Kind) -> list[Sender] | NoSender:
        """Every sender that may carry this mail, in the order to try."""
        key = ("senders", _id(organization), kind)
        return self._once(key, lambda: effective.routes(organization, kind))

    def first(self, organization: Organization | None, kind: Kind) -> uuid.UUID | None:
        """The sender that this mail waits for while none may send."""
        senders = self.senders(organization, kind)
        return None if isinstance(senders, NoSender) else senders[0].id

    def find(
        self, organization: Organization | None, kind: Kind, user_id: uuid.UUID | None
    ) -> Resolved | str:
        """The sender of this try, or the reason why there is none now.

        `outbox.EXTERNAL` is final; with every other reason the mail waits.
        """
        senders = self.senders(organization, kind)
        if isinstance(senders, NoSender):
            return senders.reason.value
        reason = health.SENDER_FAILING
        for sender in senders:
            if not health.may_send(sender, self._now):
                continue
            resolved = self._resolved(sender, None if kind.is_security else organization)
            if resolved is None:
                reason = outbox.SECRET_DOES_NOT_OPEN
            elif isinstance(resolved, NoSender):
                continue
            elif not outbox.is_external_on_host(organization, kind, user_id, resolved.level):
                return resolved
            elif not resolved.is_fallback:
                return outbox.EXTERNAL
        return reason

    def _resolved(
        self, sender: Sender, organization: Organization | None
    ) -> Resolved | NoSender | None:
        """None: its secret does not open with the keys at hand."""

        def resolve() -> Resolved | NoSender | None:
            try:
                return effective.resolve_sender(sender, organization)
            except VaultError:
                return None

        return self._once(("resolved", sender.id, _id(organization)), resolve)

    def _once(self, key: tuple[object, ...], ask: Callable[[], _T]) -> _T:
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]  # type: ignore[return-value]


def _id(organization: Organization | None) -> uuid.UUID | None:
    return organization.id if organization else None
