"""A sender as the API takes and gives it. Secrets go in and never come back."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from portal.delivery import backlog, draining
from portal.settings import effective, overview, senders
from portal.settings.models import Sender, VersionState
from portal.settings.overview import Health
from portal.settings.own_fields import OWN_KEYS
from portal.settings.scope import Scope
from portal.settings.sender_rules import VALUE_KEYS
from portal.settings.senders import Clear, Keep, Replace, SecretChange
from portal.smtp.values import Authentication, Encryption
from portal.validation import Invalid
from portal.web.api.inputs import Input
from portal.web.api.times import ShownTime

_FOR_FILES = (
    "Files and environment variables belong to files that an operator applies. Give the secret "
    "itself as password, client_secret, private_key or refresh_token, a certificate as ca (PEM)."
)
_SHOWN_ONLY = "This is shown only. Give the secret as password, client_secret or private_key."
_LONGEST_SECRET = 10_000


class SenderValuesInput(Input):
    """The keys of a sender that are laid over the stored ones. A secret that is null is cleared.

    `password` belongs to authentication password, `client_secret` to OAuth2 client credentials
    and, where the client has one, to a refresh token, `private_key` (PEM, or Google's key file)
    to a service account. `token_url` and `scope` null stand for the provider's usual ones.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "_file": _FOR_FILES,
        "_env": _FOR_FILES,
        "secret": "Give the secret as password, client_secret or private_key.",
        "secret_set": _SHOWN_ONLY,
    }

    display_name: str | None = None
    from_address: str | None = None
    reply_to: str | None = None
    envelope_sender: str | None = None
    server: str | None = None
    port: int | None = None
    encryption: Annotated[Encryption | None, Field(strict=False)] = None
    verify: bool | None = None
    ca: str | None = None
    authentication: Annotated[Authentication | None, Field(strict=False)] = None
    username: str | None = None
    domain: str | None = None
    password: str | None = None
    allow_clear_login: bool | None = None
    ehlo_name: str | None = None
    connect_timeout: int | None = None
    command_timeout: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    connections: int | None = None
    messages_per_connection: int | None = None
    client_id: str | None = None
    token_url: str | None = None
    scope: str | None = None
    client_secret_expires_at: str | None = None
    client_secret: str | None = None
    private_key: str | None = None
    refresh_token: str | None = None

    def values(self) -> dict[str, Any]:
        """The keys for the rules. Null stands for the default where there is one."""
        given = self.given()
        return {
            key: _DEFAULTS.get(key) if given[key] is None else given[key]
            for key in (*VALUE_KEYS, *OWN_KEYS)
            if key in given
        }

    def secret_change(self) -> SecretChange:
        """What to do with the stored secrets. Raises Invalid for ones that are none."""
        given = [key for key in _SECRETS if key in self.model_fields_set]
        for key in (*given, "refresh_token"):
            if len(getattr(self, key) or "") > _LONGEST_SECRET:
                raise Invalid.field(key, f"This is too long to be a {key.replace('_', ' ')}.")
        if len(given) > 1:
            raise Invalid.field(given[1], f"Give one secret: {given[0]} or {given[1]}.")
        token = (self.refresh_token or "") if "refresh_token" in self.model_fields_set else None
        if not given:
            return Keep() if token is None else Replace(None, token)
        (key,) = given
        secret = getattr(self, key)
        if secret is None and token is None and key != "client_secret":
            return Clear()
        return Replace(secret or "", token, given_as=key)


_SECRETS = ("password", "client_secret", "private_key")
_DEFAULTS: dict[str, Any] = {
    "encryption": "starttls",
    "authentication": "none",
    "verify": True,
    "allow_clear_login": False,
    "connect_timeout": 10,
    "command_timeout": 30,
    "connections": 8,
    "priority": 100,
    "kinds": [],
    "allowed_from": [],
}


class SenderChange(SenderValuesInput):
    """`active` false stores other values as a draft, beside an active version that sends on; true
    on untested ones is for host tokens. `enabled` switches the sender off and on."""

    name: str | None = None
    priority: int | None = None
    kinds: list[str] | None = None
    allowed_from: list[str] | None = None
    active: bool | None = None
    enabled: bool | None = None


class NewSender(SenderChange):
    name: str
    display_name: str
    from_address: str
    server: str


class HealthShape(BaseModel):
    """How the sender does: `status` in one word, and what happened last."""

    status: Health
    last_success_at: ShownTime | None
    last_failure_at: ShownTime | None
    last_failure_cause: str | None
    consecutive_failures: int
    next_probe_at: ShownTime | None


class QueueShape(BaseModel):
    """What this sender has not handed over: queued, due for another try, taken by a worker and not
    answered for, or held for it. `is_more`: at least so many wait. `held`: so much of it, of at
    most 10,000, waits until the failing sender works again, the first since `held_since`.
    `done_at` is an estimate from the last minutes, null where too little went out to tell, or
    nothing waits."""

    waiting: int
    is_more: bool
    held: int
    held_since: ShownTime | None
    per_minute: float | None
    done_at: ShownTime | None

    @classmethod
    def of(cls, sender: Sender) -> "QueueShape":
        drain, held = draining.of_sender(sender), backlog.held_by(sender)
        return cls(
            waiting=drain.waiting.number,
            is_more=drain.waiting.is_more,
            held=held.count.number,
            held_since=held.since,
            per_minute=drain.per_minute and round(drain.per_minute, 1),
            done_at=drain.done_at,
        )


class SenderShape(BaseModel):
    """The newest values: those of the draft, if one waits for its test (`draft`, `state` draft).

    `active`: a version that passed sends, the one shown or, beside a draft, the one before it;
    not while `enabled` is false.
    """

    name: str
    display_name: str
    from_address: str
    reply_to: str | None
    envelope_sender: str | None
    server: str
    port: int
    encryption: Encryption
    verify: bool
    ca: str | None
    authentication: Authentication
    username: str | None
    domain: str | None
    secret_set: bool
    allow_clear_login: bool
    ehlo_name: str | None
    connect_timeout: int
    command_timeout: int
    per_minute: int | None
    per_day: int | None
    connections: int
    messages_per_connection: int | None
    client_id: str | None
    token_url: str | None
    scope: str | None
    client_secret_expires_at: ShownTime | None
    priority: int
    kinds: list[str]
    allowed_from: list[str]
    active: bool
    draft: bool
    enabled: bool
    state: VersionState
    default: bool
    health: HealthShape
    queue: QueueShape

    @classmethod
    def of(cls, sender: Sender) -> "SenderShape":
        version = senders.shown_version(sender)
        default = effective.default_sender(Scope(sender.organization_id))
        return cls(
            **{key: getattr(version, key) for key in VALUE_KEYS},
            name=sender.name,
            secret_set=version.secret_set_at is not None,
            priority=sender.priority,
            kinds=sender.kinds,
            allowed_from=sender.allowed_from,
            active=senders.has_active(sender),
            draft=senders.has_draft(sender),
            enabled=sender.enabled,
            state=version.state,
            default=default is not None and default.id == sender.id,
            health=_health(sender),
            queue=QueueShape.of(sender),
        )


class SenderList(BaseModel):
    items: list[SenderShape]
    next: str | None


def _health(sender: Sender) -> HealthShape:
    same = HealthShape.model_fields.keys() - {"status"}
    values = {name: getattr(sender, name) for name in same}
    values["last_failure_cause"] = overview.told_cause(sender)
    return HealthShape(**values, status=overview.health_of(sender))
