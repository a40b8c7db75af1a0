"""Writing to the audit table, in the transaction of the change itself."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from portal.audit.models import AuditEntry
from portal.extensions import db


class ActorType(StrEnum):
    USER = "user"
    TOKEN = "token"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, an API token, the operator at the command line, or the portal itself.

    `name` is for letters and pages; it is not written to the audit table. `is_host` says that
    the actor holds the host's rights (a system administrator, a host token, the operator).
    """

    type: ActorType
    id: str | None = None
    ip: str | None = None
    name: str = ""
    is_host: bool = False


OPERATOR = Actor(ActorType.OPERATOR, name="operator", is_host=True)
SYSTEM = Actor(ActorType.SYSTEM, name="Gatepost", is_host=True)


def record(
    actor: Actor,
    action: str,
    *,
    organization_id: uuid.UUID | None,
    object_type: str,
    object_id: object = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Add one entry to the session. `organization_id` None: the host's log."""
    db.session.add(
        AuditEntry(
            organization_id=organization_id,
            actor_type=actor.type.value,
            actor_id=actor.id,
            ip=actor.ip,
            action=action,
            object_type=object_type,
            object_id=None if object_id is None else str(object_id),
            changes=dict(changes or {}),
        )
    )


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields whose value differs, each with before and after."""
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
