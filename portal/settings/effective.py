"""What applies to an organization: each identity value with its origin, and one whole bundle.

Identity inherits field by field; a sender never does. `resolve` returns one bundle tagged with
its owner, or the reason why there is none.
"""

import dataclasses
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.kinds import Category, Kind
from portal.settings import binding, own_fields
from portal.settings.binding import Part
from portal.settings.mail_rules import (
    HOST_KEYS,
    IDENTITY_KEYS,
    INHERITED_KEYS,
    ORGANIZATION_KEYS,
)
from portal.settings.models import MailSettings, Mode, Sender, SenderVersion, VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.sender_rules import VALUE_KEYS, SenderValues
from portal.smtp.values import Bundle

PRODUCT = "Gatepost"
_MAY_FALL_BACK = (Category.ALERT, Category.APPROVAL)
_CONSTANTS = {"language": "en", "retention_days": 90}


class Origin(StrEnum):
    HOST = "host"
    ORGANIZATION = "organization"


class NoSenderReason(StrEnum):
    """Why nothing can be sent now. `mail_off` suppresses new mail; the others hold it."""

    MAIL_OFF = "mail_off"
    HOST_OFF = "host_mail_off"
    NOT_CONFIGURED = "not_configured"
    NOT_ACTIVE = "sender_not_active"
    NOT_ALLOWED = "own_senders_not_allowed"
    SUSPENDED = "organization_suspended"


@dataclass(frozen=True)
class Value:
    """One effective value and the scope it comes from."""

    value: Any
    origin: Origin


@dataclass(frozen=True)
class Resolved:
    """The whole bundle to send with, whose it is, and the identity in front of it.

    `from_address` is the bundle's, or that of the sender which was meant and for which this one
    takes over: then `from_version_id` is that one's version.
    """

    bundle: Bundle
    sender_id: uuid.UUID
    level: Origin
    from_name: str
    from_address: str
    reply_to: str | None
    version_id: uuid.UUID
    from_version_id: uuid.UUID | None = None
    is_fallback: bool = False


@dataclass(frozen=True)
class NoSender:
    reason: NoSenderReason


def settings_of(scope: Scope) -> MailSettings:
    """The scope's row; a transient one with the defaults where none was saved yet."""
    found = db.session.scalar(select(MailSettings).where(MailSettings.scope == scope.key))
    return found or new_settings(scope)


def new_settings(scope: Scope) -> MailSettings:
    """The defaults of a scope, not added to the session."""
    return MailSettings(
        organization_id=scope.organization_id,
        scope=scope.key,
        revision=1,
        enabled=True,
        mode=Mode.INHERIT,
        fallback=False,
        own_senders_allowed=True,
        fallback_allowed=True,
        allowed_destinations=[],
    )


def platform_name() -> str:
    """What the host calls itself; the product's name until it was given one."""
    return settings_of(HOST).display_name or PRODUCT


def platform_names() -> set[str]:
    """As whom the host's own mail goes."""
    sender = default_sender(HOST)
    version = version_of(sender, VersionState.ACTIVE) if sender else None
    return {platform_name(), *((version.display_name,) if version else ())}


def identity(organization: Organization | None) -> dict[str, Value]:
    """The identity fields that apply, each with its origin."""
    host = settings_of(HOST)
    own = settings_of(Scope.of(organization)) if organization else None
    values = {}
    for key in INHERITED_KEYS:
        mine = getattr(own, key) if own is not None else None
        if mine is not None:
            values[key] = Value(mine, Origin.ORGANIZATION)
        elif own is not None and key in _not_inherited(own):
            values[key] = Value(None, Origin.HOST)
        else:
            theirs = getattr(host, key)
            values[key] = Value(_CONSTANTS.get(key) if theirs is None else theirs, Origin.HOST)
    return values


def described(organization: Organization | None) -> dict[str, Value]:
    """Every mail setting of a scope as the API shows it."""
    scope = Scope.of(organization)
    settings = settings_of(scope)
    own = Origin.HOST if scope.is_host else Origin.ORGANIZATION
    values = {
        key: Value(_plain(getattr(settings, key)), own)
        for key in (HOST_KEYS if scope.is_host else ORGANIZATION_KEYS)
        if key not in IDENTITY_KEYS and key != "default_sender"
    }
    if not scope.is_host and settings.daily_cap is None:
        values["daily_cap"] = Value(settings_of(HOST).daily_cap, Origin.HOST)
    default = default_sender(scope)
    values["default_sender"] = Value(default.name if default else None, own)
    return identity(organization) | values


def default_sender(scope: Scope) -> Sender | None:
    """The scope's default sender, or None: not configured."""
    default_id = settings_of(scope).default_sender_id
    return db.session.get(Sender, default_id) if default_id else None


def version_of(sender: Sender, state: VersionState) -> SenderVersion | None:
    """The version in that state; there is at most one active and one draft."""
    return next((version for version in sender.versions if version.state is state), None)


def values_of(version: SenderVersion) -> SenderValues:
    return SenderValues(**{key: getattr(version, key) for key in VALUE_KEYS})


def resolve(organization: Organization | None, kind: Kind) -> Resolved | NoSender:
    """Which sender a mail leaves by at this moment, and as whom.

    Security mail (accounts belong to the host) always leaves by the host's sender with the
    host's identity, whatever the organization chose.
    """
    chosen = routes(organization, kind)
    if isinstance(chosen, NoSender):
        return chosen
    return resolve_sender(chosen[0], None if kind.is_security else organization)


def choose(organization: Organization | None, *, is_security: bool = False) -> Sender | NoSender:
    """The sender that mail of the organization (None: of the host) leaves by. Opens no secret."""
    if organization is None or is_security:
        return _host_sender()
    if organization.state is OrganizationState.SUSPENDED:
        return NoSender(NoSenderReason.SUSPENDED)
    settings = settings_of(Scope.of(organization))
    if settings.mode is Mode.OFF:
        return NoSender(NoSenderReason.MAIL_OFF)
    if settings.mode is Mode.INHERIT:
        return _host_sender()
    if not settings.own_senders_allowed:
        return NoSender(NoSenderReason.NOT_ALLOWED)
    return _sending(default_sender(Scope.of(organization)))


def routes(organization: Organization | None, kind: Kind) -> list[Sender] | NoSender:
    """Every sender that may carry this mail, in the order to try. Never empty.

    Senders that name the kind or its category; the default; then, where it fails, the others of
    its scope by priority (failover); then, where host and organization allow it, the host's for
    alerts and approvals (fallback).
    """
    first = choose(organization, is_security=kind.is_security)
    if isinstance(first, NoSender):
        return first
    others = db.session.scalars(
        select(Sender)
        .where(Sender.scope == first.scope, Sender.id != first.id, Sender.enabled)
        .order_by(Sender.priority, Sender.name)
    )
    active = [sender for sender in others if version_of(sender, VersionState.ACTIVE) is not None]
    own = sorted([first, *active], key=lambda sender: not _names(sender, kind))
    return [*own, *_fallback(organization, first, kind)]


def resolve_sender(
    sender: Sender, organization: Organization | None, *, meant: Sender | None = None
) -> Resolved | NoSender:
    """The named sender itself, for mail that must leave by it, or that was `meant` for another
    one of its scope: whose From it keeps where this sender's `allowed_from` has it."""
    version = version_of(sender, VersionState.ACTIVE)
    if version is None or not sender.enabled:
        return NoSender(NoSenderReason.NOT_ACTIVE)
    owner = Scope(sender.organization_id)
    bundle = bundle_of(owner, sender, version)
    kept = _kept_from(sender, meant)
    from_name, reply_to = as_whom(owner, kept or version, organization)
    stands_in = owner.is_host and organization is not None and _mode_of(organization) is Mode.OWN
    if stands_in:
        reply_to = reply_to or _own_address(organization)
    return Resolved(
        bundle,
        sender.id,
        Origin.HOST if owner.is_host else Origin.ORGANIZATION,
        from_name,
        (kept or version).from_address,
        reply_to,
        version.id,
        from_version_id=kept.id if kept else None,
        is_fallback=stands_in,
    )


def as_whom(
    owner: Scope, version: SenderVersion, organization: Organization | None
) -> tuple[str, str | None]:
    """The name in From and the Reply-To of mail of the organization (None: of the host)."""
    settings = settings_of(Scope.of(organization))
    if organization is not None and owner.is_host:
        platform = settings_of(HOST).display_name or version.display_name
        return f"{settings.display_name or organization.name} (via {platform})", settings.reply_to
    return settings.display_name or version.display_name, settings.reply_to or version.reply_to


def bundle_of(scope: Scope, sender: Sender, version: SenderVersion) -> Bundle:
    """The whole bundle with its secrets opened. Raises VaultError where one does not open here."""
    values = values_of(version)

    def opened(sealed: str | None, part: Part) -> str | None:
        if sealed is None:
            return None
        return binding.unseal(sealed, scope=scope, sender_id=sender.id, values=values, part=part)

    return bundle_from(
        scope,
        sender.name,
        values,
        opened(version.secret, Part.SECRET),
        refresh_token=opened(version.refresh_token, Part.REFRESH_TOKEN),
        version=f"{sender.name}/{version.number}",
    )


def bundle_from(
    scope: Scope,
    name: str,
    values: SenderValues,
    secret: str | None,
    *,
    refresh_token: str | None = None,
    version: str | None = None,
) -> Bundle:
    """A bundle of values that need not be stored, with the defaults of its authentication."""
    wanted = {field.name for field in dataclasses.fields(Bundle)}
    shared = {key: getattr(values, key) for key in VALUE_KEYS if key in wanted}
    shared |= {"token_url": values.token_url_or_default, "scope": values.scope_or_default}
    return Bundle(
        owner=scope.key,
        name=name,
        secret=secret,
        refresh_token=refresh_token,
        version=version,
        **shared,
    )


def _host_sender() -> Sender | NoSender:
    if not settings_of(HOST).enabled:
        return NoSender(NoSenderReason.HOST_OFF)
    return _sending(default_sender(HOST))


def _fallback(organization: Organization | None, first: Sender, kind: Kind) -> list[Sender]:
    if organization is None or first.organization_id is None or kind.category not in _MAY_FALL_BACK:
        return []
    settings = settings_of(Scope.of(organization))
    if not (settings.fallback and settings.fallback_allowed):
        return []
    stand_in = _host_sender()
    return [] if isinstance(stand_in, NoSender) else [stand_in]


def _kept_from(sender: Sender, meant: Sender | None) -> SenderVersion | None:
    """The version whose From a mail keeps that this sender carries for another one. Never one of
    another scope: the host bears no organization's address."""
    if meant is None or meant.id == sender.id or meant.scope != sender.scope:
        return None
    version = version_of(meant, VersionState.ACTIVE)
    allowed = version is not None and own_fields.may_bear(sender, version.from_address)
    return version if allowed else None


def _names(sender: Sender, kind: Kind) -> bool:
    return kind.key in sender.kinds or kind.category.value in sender.kinds


def _mode_of(organization: Organization) -> Mode:
    return settings_of(Scope.of(organization)).mode


def _own_address(organization: Organization | None) -> str | None:
    """Where replies to mail of an organization go that the host had to send."""
    sender = default_sender(Scope.of(organization))
    version = version_of(sender, VersionState.ACTIVE) if sender else None
    return (version.reply_to or version.from_address) if version else None


def _sending(default: Sender | None) -> Sender | NoSender:
    """A default that is missing or disabled counts as not configured."""
    if default is None or not default.enabled:
        return NoSender(NoSenderReason.NOT_CONFIGURED)
    if version_of(default, VersionState.ACTIVE) is None:
        return NoSender(NoSenderReason.NOT_ACTIVE)
    return default


def _not_inherited(own: MailSettings) -> tuple[str, ...]:
    # Replies never go to the platform unless the organization says so; with senders of its own
    # neither does the platform's name stand in front of its mail.
    return ("reply_to", "display_name") if own.mode is Mode.OWN else ("reply_to",)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value
