"""Mail settings of the host or of an organization, and which sender is the default."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.settings import changes, effective
from portal.settings.effective import Origin
from portal.settings.scope import Scope
from portal.validation import FieldError, Invalid
from portal.web import guard
from portal.web.api import inputs
from portal.web.api.calls import call
from portal.web.api.inputs import Input
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class MailInput(Input):
    """Plain values; null inherits again. `enabled` is the host's; `mode`, `fallback` and what the
    host allows belong to an organization."""

    refused: ClassVar[Mapping[str, str]] = {"logo": "A logo is an image: PUT /settings/logo."}

    enabled: bool | None = None
    mode: Literal["inherit", "own", "off"] | None = None
    title_prefix: str | None = None
    display_name: str | None = None
    reply_to: str | None = None
    language: str | None = None
    footer: str | None = None
    accent_color: str | None = None
    default_sender: str | None = None
    fallback: bool | None = None
    retention_days: int | None = None
    daily_cap: int | None = None
    own_senders_allowed: bool | None = None
    fallback_allowed: bool | None = None


class MailValue(BaseModel):
    value: str | int | bool | None
    origin: Origin


class MailSettingsShape(BaseModel):
    """Each value that applies, and whose it is. A key that a scope does not have is not there."""

    model_config = {"extra": "allow"}
    __pydantic_extra__: dict[str, MailValue]

    @classmethod
    def of(cls, organization: Organization | None) -> "MailSettingsShape":
        values = effective.described(organization).items()
        return cls.model_validate(
            {key: {"value": v.value, "origin": v.origin} for key, v in values}
        )


class DefaultSender(BaseModel):
    name: str


class DefaultSenderInput(Input):
    name: str


# Null for what nothing is inherited for: as it is before anyone changes it.
_DEFAULTS: dict[str, Any] = {
    "enabled": True,
    "mode": "inherit",
    "fallback": False,
    "own_senders_allowed": True,
    "fallback_allowed": True,
}


@blueprint.get("/settings/mail")
@blueprint.get("/organizations/<slug:organization>/settings/mail")
@call(gives=MailSettingsShape)
@requires(Permission.SETTINGS_READ, at_host=Permission.HOST_SETTINGS_READ)
def read_mail_settings(organization: Organization | None) -> MailSettingsShape:
    """The mail settings that apply, each with its origin."""
    return MailSettingsShape.of(organization)


@blueprint.patch("/settings/mail")
@blueprint.patch("/organizations/<slug:organization>/settings/mail")
@call(takes=MailInput, gives=MailSettingsShape)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def change_mail_settings(organization: Organization | None) -> MailSettingsShape:
    """Change the keys that are given; null inherits again."""
    given = inputs.body(MailInput).given()
    raw = {key: _DEFAULTS.get(key) if value is None else value for key, value in given.items()}
    actor = guard.principal().actor
    changes.save_mail_settings(Scope.of(organization), raw, actor=actor)
    return MailSettingsShape.of(organization)


@blueprint.put("/settings/default-sender")
@blueprint.put("/organizations/<slug:organization>/settings/default-sender")
@call(takes=DefaultSenderInput, gives=DefaultSender)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def choose_default_sender(organization: Organization | None) -> DefaultSender:
    """Make one of the scope's senders its default; mail that waits for one is released."""
    name = inputs.body(DefaultSenderInput).name
    try:
        changes.set_default_sender(Scope.of(organization), name, actor=guard.principal().actor)
    except Invalid as problem:
        raise Invalid(FieldError("name", error.message) for error in problem.errors) from None
    return DefaultSender(name=name)
