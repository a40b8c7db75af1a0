"""The parts of a settings file that say how mail is sent: senders and mail settings of a scope."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.audit.log import OPERATOR
from portal.cli.settings_file import files, secrets
from portal.cli.settings_file.document import Section, Wrong
from portal.cli.settings_file.places import located
from portal.cli.settings_file.secrets import Given
from portal.settings import (
    binding,
    changes,
    effective,
    images,
    logos,
    own_fields,
    sender_rules,
    senders,
)
from portal.settings.models import Sender, VersionState
from portal.settings.own_fields import OWN_KEYS
from portal.settings.scope import Scope
from portal.settings.sender_rules import VALUE_KEYS
from portal.settings.senders import Keep, Replace, SecretChange
from portal.smtp.values import Authentication
from portal.validation import Invalid

_SECRETS = ("password", "client_secret", "private_key", "refresh_token")
_NAMES = {"ca": "ca_file", **{key: f"{key}_file" for key in _SECRETS}}


def lift_lock(scope: Scope, section: Section) -> list[str]:
    """Allow own senders before they are applied, where the file allows them. Raises Wrong."""
    if section.get("own_senders_allowed") is not True:
        return []
    with located(section):
        changed = changes.save_mail_settings(scope, {"own_senders_allowed": True}, actor=OPERATOR)
    return ["mail settings changed: own_senders_allowed"] if changed else []


def apply_mail(scope: Scope, section: Section, folder: Path) -> list[str]:
    """Change the mail settings that stand in the file. Returns what changed. Raises Wrong."""
    if not section.values:
        return []
    values = {key: value for key, value in section.values.items() if key != "logo_file"}
    with located(section):
        changed = changes.save_mail_settings(scope, values, actor=OPERATOR)
    named = ["default_sender" if key == "default_sender_id" else key for key in changed]
    keys = ", ".join(key for key in named if key in section.values)
    told = [f"mail settings changed: {keys}"] if changed else []
    return [*told, *_apply_logo(scope, section, folder)]


def _apply_logo(scope: Scope, section: Section, folder: Path) -> list[str]:
    """An empty or null `logo_file` takes the logo away; without the key it stays."""
    if "logo_file" not in section.values:
        return []
    if not section.get("logo_file"):
        return ["logo removed"] if logos.remove(scope, actor=OPERATOR) else []
    content = files.content(section, "logo_file", folder, longest=images.LARGEST)
    with located(section):
        saved = logos.save(scope, content, actor=OPERATOR, field="logo_file")
    return ["logo changed"] if saved else []


def apply_sender(scope: Scope, section: Section, folder: Path) -> list[str]:
    """Create or change a sender. Returns what changed. Raises Wrong."""
    name = section.values["name"]
    existing = senders.find(scope, name)
    saved = _apply_sender(scope, section, existing, folder)
    sender = senders.find(scope, name)
    lines = [f"sender {name} {'changed' if existing else 'created'}"] if saved else []
    if saved and section.get("active") is False and sender and senders.has_active(sender):
        lines = [f"sender {name} changed, as a draft: it sends on with what is active"]
    return [*lines, *_switch(scope, sender, section)]


def _switch(scope: Scope, sender: Sender | None, section: Section) -> list[str]:
    enabled = section.get("enabled")
    if sender is None or enabled is None or enabled == sender.enabled:
        return []
    with located(section):
        senders.switch(scope, sender, enabled=enabled, actor=OPERATOR)
    return [f"sender {sender.name} {'enabled' if enabled else 'disabled'}"]


def _apply_sender(scope: Scope, section: Section, existing: Sender | None, folder: Path) -> bool:
    raw = _raw(section, folder)
    given = secrets.of_sender(section, folder)
    if existing and given == Given() and _says_what_sends(scope, existing, section, raw):
        return False
    with located(section, _NAMES):
        saved = senders.save(
            scope,
            section.values["name"],
            raw,
            secret=_secret_change(scope, existing, raw, given),
            actor=OPERATOR,
            sender=existing,
            activate=section.get("active") is not False,
        )
    is_given = given.key or given.refresh_token
    if is_given and saved.version.authentication is Authentication.NONE:
        message = "There is a secret of OAuth2, so write the authentication that it belongs to."
        if given.key == "password":
            message = "There is a password, so write authentication: password as well."
        raise Wrong([section.problem("authentication", message)])
    return saved.changed


def _says_what_sends(
    scope: Scope, sender: Sender, section: Section, raw: Mapping[str, Any]
) -> bool:
    """Whether these are the values it sends with while a draft waits: the draft then goes on
    waiting. A written `active: true` is about the draft."""
    active = effective.version_of(sender, VersionState.ACTIVE)
    if active is None or not senders.has_draft(sender) or section.get("active") is not None:
        return False
    base = effective.values_of(active)
    try:
        values = sender_rules.parse(raw, base=base, at_host=scope.is_host, by_host=True)
        own = own_fields.parse(raw, at_host=scope.is_host)
    except Invalid:
        return False
    return values == base and all(getattr(sender, key) == own[key] for key in own)


def _raw(section: Section, folder: Path) -> dict[str, Any]:
    known = (*VALUE_KEYS, *OWN_KEYS)
    raw = {key: value for key, value in section.values.items() if key in known}
    if section.get("ca_file"):
        raw["ca"] = secrets.text(section, "ca_file", folder)
    return raw


def _secret_change(
    scope: Scope, existing: Sender | None, raw: Mapping[str, Any], given: Given
) -> SecretChange:
    """Keep secrets that are the stored ones already, so that applying twice changes nothing.

    A refresh token is known by what was given: another one may have taken its place since.
    """
    if given.key is None and given.refresh_token is None:
        return Keep()
    new = Replace(given.secret, given.refresh_token, given.key)
    try:
        kept = senders.candidate(scope, existing, raw, secret=Keep(), actor=OPERATOR)
        # Whether it is of the right kind is judged here as well.
        senders.candidate(scope, existing, raw, secret=new, actor=OPERATOR)
    except Invalid:
        return new
    same_token = given.refresh_token is None or (
        binding.given(scope, given.refresh_token) == kept.given_token
    )
    return Keep() if given.secret in (None, kept.secret) and same_token else new
