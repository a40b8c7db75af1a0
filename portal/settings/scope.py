"""A scope: the host, or one organization. Settings and senders belong to exactly one."""

import uuid
from dataclasses import dataclass

from portal.identity.models import Organization


@dataclass(frozen=True)
class Scope:
    """`organization_id` None is the host."""

    organization_id: uuid.UUID | None

    @classmethod
    def of(cls, organization: Organization | None) -> "Scope":
        return cls(organization.id if organization is not None else None)

    @property
    def key(self) -> str:
        """A text that is unique among scopes: "host" or the organization's id."""
        return "host" if self.organization_id is None else str(self.organization_id)

    @property
    def is_host(self) -> bool:
        return self.organization_id is None


HOST = Scope(None)
