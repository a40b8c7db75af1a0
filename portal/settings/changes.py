"""Changing mail settings: one transaction with its audit entry and the event for the workers."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.destinations import AllowedDestinations
from portal.extensions import db
from portal.settings import effective, mail_rules, platform_names
from portal.settings.models import MailSettings, Mode, Sender, VersionState
from portal.settings.scope import HOST, Scope
from portal.validation import Invalid, Stale


def save_mail_settings(
    scope: Scope, raw: Mapping[str, Any], *, actor: Actor, revision: int | None = None
) -> list[str]:
    """Change the given keys; None inherits again. Returns the keys that changed.

    Raises Invalid, or Stale where `revision` is not the stored one any more.
    """
    values = mail_rules.parse(raw, at_host=scope.is_host, by_host=actor.is_host)
    settings = locked(scope)
    if revision is not None and revision != settings.revision:
        raise Stale
    if "default_sender" in values:
        name = values.pop("default_sender")
        values["default_sender_id"] = _default_id(scope, settings, name, actor)
    _check_mode(settings, values)
    named = values.get("display_name")
    if not actor.is_host and (
        errors := platform_names.errors_of(named, kept=settings.display_name)
    ):
        raise Invalid(errors)
    changes = _assign(settings, values)
    if changes:
        settings.revision += 1
        _told(scope, actor, "mail_settings.changed", changes)
    return sorted(changes)


def set_default_sender(scope: Scope, name: str, *, actor: Actor) -> None:
    """Make a sender of the scope its default. Raises Invalid; a sender that cannot send now, as it
    was not tested or is disabled, is taken from the host's side alone."""
    save_mail_settings(scope, {"default_sender": name}, actor=actor)


def save_allowed_destinations(entries: list[str], *, actor: Actor) -> bool:
    """Which internal addresses an organization's senders may connect to. Raises Invalid."""
    AllowedDestinations.parse(entries)
    settings = locked(HOST)
    changes = _assign(settings, {"allowed_destinations": entries})
    if changes:
        settings.revision += 1
        _told(HOST, actor, "allowed_destinations.changed", changes)
    return bool(changes)


def locked(scope: Scope) -> MailSettings:
    """The scope's row, created where missing, locked until the end of the transaction."""
    statement = select(MailSettings).where(MailSettings.scope == scope.key).with_for_update()
    # What this session read before the lock may be out of date.
    statement = statement.execution_options(populate_existing=True)
    settings = db.session.scalar(statement)
    if settings is None:
        try:
            with db.session.begin_nested():
                db.session.add(effective.new_settings(scope))
        except IntegrityError:
            pass  # somebody else created it at this moment
        settings = db.session.scalars(statement).one()
    return settings


def _check_mode(settings: MailSettings, values: dict[str, Any]) -> None:
    mode = values.get("mode")
    allowed = values.get("own_senders_allowed", settings.own_senders_allowed)
    if mode is Mode.OWN and not allowed:
        raise Invalid.field(
            "mode", "The platform does not allow own senders here; ask a system administrator."
        )
    fallback_allowed = values.get("fallback_allowed", settings.fallback_allowed)
    if values.get("fallback") and not fallback_allowed:
        raise Invalid.field(
            "fallback", "The platform does not allow fallback here; ask a system administrator."
        )
    if mode is Mode.OFF and settings.mode is not Mode.OFF:
        values["mode_before_off"] = settings.mode


def _default_id(
    scope: Scope, settings: MailSettings, name: str | None, actor: Actor
) -> uuid.UUID | None:
    if name is None:
        return None
    found = db.session.scalar(select(Sender).where(Sender.scope == scope.key, Sender.name == name))
    if found is None:
        raise Invalid.field("default_sender", f"There is no sender named {name} here.")
    if found.id != settings.default_sender_id and not actor.is_host:
        _check_it_sends(found)
    return found.id


def _check_it_sends(sender: Sender) -> None:
    """All mail would be held by a default that has not passed its test, or is disabled."""
    if effective.version_of(sender, VersionState.ACTIVE) is None:
        raise Invalid.field(
            "default_sender",
            f"{sender.name} is not active: test it first, then make it the default.",
        )
    if not sender.enabled:
        raise Invalid.field(
            "default_sender",
            f"{sender.name} is disabled: enable it first, then make it the default.",
        )


def _assign(settings: MailSettings, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    before = {key: getattr(settings, key) for key in values}
    for key, value in values.items():
        setattr(settings, key, value)
    return audit.difference(_shown(before), _shown(values))


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: str(value) if key == "default_sender_id" and value is not None else value
        for key, value in values.items()
    }


def _told(scope: Scope, actor: Actor, action: str, changes: Mapping[str, Any]) -> None:
    audit.record(
        actor,
        action,
        organization_id=scope.organization_id,
        object_type="mail_settings",
        object_id=scope.key,
        changes=changes,
    )
    jobs.emit("sender_changed", organization_id=scope.organization_id)
