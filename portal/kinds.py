"""The registry of notification kinds: pure data. Adding a kind is one entry and one folder."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum


class Category(StrEnum):
    SECURITY = "security"
    ALERT = "alert"
    APPROVAL = "approval"
    MAIL = "mail"


class Priority(IntEnum):
    """Lower leaves first."""

    SECURITY = 0
    APPROVAL = 1
    ALERT = 2
    TASK = 3
    BULK = 4


class WhenUnknown(StrEnum):
    """What to do when the final dot went out and no reply came."""

    SEND_AGAIN = "send_again"
    ASK = "ask"


@dataclass(frozen=True)
class Kind:
    """One kind of notification. Its letters lie in `templates/mail/<key>/`.

    `lifetime` counts from acceptance; None: until the thing itself expires. `secrets` are the
    variables that are stored encrypted and shown as [link removed]. `variables` are those that a
    letter may use beside the ones of every letter (see portal/letters/compose.py).
    """

    key: str
    name: str
    category: Category
    priority: Priority
    lifetime: timedelta | None
    when_unknown: WhenUnknown
    variables: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    mutable: bool = False

    @property
    def is_security(self) -> bool:
        """Security mail leaves by the host's sender whatever an organization chose."""
        return self.category is Category.SECURITY


_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_ALERT = ("title", "severity", "text", "resource_name", "resource_url", "starts_at", "raised_by")
_SENDER = ("owner_name", "sender_name", "server", "since_at", "waiting", "sender_url")
_EXPIRING = ("credential", "expires_at", "days_left", "tested_at")
_APPROVAL = ("title", "text", "resource_name", "resource_url", "requested_by", "expires_at")

ALL: tuple[Kind, ...] = (
    Kind(
        key="security.password_recovery",
        name="Password recovery",
        category=Category.SECURITY,
        priority=Priority.SECURITY,
        lifetime=_HOUR,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=("person_name", "recovery_url", "requested_from"),
        secrets=("recovery_url",),
    ),
    Kind(
        key="security.invitation",
        name="Invitation",
        category=Category.SECURITY,
        priority=Priority.SECURITY,
        lifetime=2 * _DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=("person_name", "organization_name", "role", "invited_by", "invitation_url"),
        secrets=("invitation_url",),
    ),
    Kind(
        key="alert.raised",
        name="Alert raised",
        category=Category.ALERT,
        priority=Priority.ALERT,
        lifetime=_DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=(*_ALERT, "alert_url"),
        mutable=True,
    ),
    Kind(
        key="approval.requested",
        name="Approval requested",
        category=Category.APPROVAL,
        priority=Priority.APPROVAL,
        lifetime=None,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=(*_APPROVAL, "approve_url", "reject_url"),
        secrets=("approve_url", "reject_url"),
    ),
    Kind(
        key="approval.approved",
        name="Approval approved",
        category=Category.APPROVAL,
        priority=Priority.APPROVAL,
        lifetime=3 * _DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=(*_APPROVAL, "decided_by", "decided_at", "comment", "approval_url"),
    ),
    Kind(
        key="approval.rejected",
        name="Approval rejected",
        category=Category.APPROVAL,
        priority=Priority.APPROVAL,
        lifetime=3 * _DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=(*_APPROVAL, "decided_by", "decided_at", "comment", "approval_url"),
    ),
    Kind(
        key="mail.test",
        name="Test mail",
        category=Category.MAIL,
        priority=Priority.SECURITY,
        lifetime=_HOUR,
        when_unknown=WhenUnknown.ASK,
        variables=("sender_name", "server", "level", "asked_by"),
    ),
    Kind(
        key="mail.sender_failing",
        name="Sender failing",
        category=Category.MAIL,
        priority=Priority.ALERT,
        lifetime=_DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=(*_SENDER, "cause", "reason", "cure"),
    ),
    Kind(
        key="mail.sender_recovered",
        name="Sender recovered",
        category=Category.MAIL,
        priority=Priority.ALERT,
        lifetime=_DAY,
        when_unknown=WhenUnknown.ASK,
        variables=(*_SENDER, "waiting_since_at", "works_since_at", "lasted"),
    ),
    Kind(
        key="mail.credential_expiring",
        name="Credential expiring",
        category=Category.MAIL,
        priority=Priority.ALERT,
        lifetime=_DAY,
        when_unknown=WhenUnknown.SEND_AGAIN,
        variables=("owner_name", "sender_name", "server", "sender_url", *_EXPIRING),
    ),
)

BY_KEY: dict[str, Kind] = {kind.key: kind for kind in ALL}


def of(category: Category) -> list[Kind]:
    """The kinds of a category, in the order of the registry."""
    return [kind for kind in ALL if kind.category is category]
