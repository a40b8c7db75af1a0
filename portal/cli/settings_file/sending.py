"""The parts of a settings file that say how mail is sent: senders and mail settings of a scope."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.audit.log import OPERATOR
from portal.cli.settings_file import secrets
from portal.cli.settings_file.document import Section, Wrong
from portal.cli.settings_file.places import located
from portal.cli.settings_file.shape import NOT_YET
from portal.settings import changes, senders
from portal.settings.models import Sender
from portal.settings.scope import Scope
from portal.settings.sender_rules import VALUE_KEYS
from portal.settings.senders import Keep, Replace, SecretChange
from portal.smtp.values import Authentication
from portal.validation import Invalid

_NAMES = {"ca": "ca_file", "password": "password_file"}
_SPOKEN = (Authentication.NONE.value, Authentication.PASSWORD.value)


def apply_mail(scope: Scope, section: Section) -> list[str]:
    """Change the mail settings that stand in the file. Returns what changed. Raises Wrong."""
    if not section.values:
        return []
    with located(section):
        changed = changes.save_mail_settings(scope, section.values, actor=OPERATOR)
    named = ["default_sender" if key == "default_sender_id" else key for key in changed]
    keys = ", ".join(key for key in named if key in section.values)
    return [f"mail settings changed: {keys}"] if changed else []


def apply_senders(scope: Scope, sections: tuple[Section, ...], folder: Path) -> list[str]:
    """Create and change senders. Returns what changed. Raises Wrong."""
    done = []
    for section in sections:
        name = section.values["name"]
        existing = senders.find(scope, name)
        if _apply_sender(scope, section, existing, folder):
            done.append(f"sender {name} {'changed' if existing else 'created'}")
    return done


def _apply_sender(scope: Scope, section: Section, existing: Sender | None, folder: Path) -> bool:
    _refuse_what_is_not_there(section)
    raw = _raw(section, folder)
    given = secrets.password(section, folder)
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
    if given and saved.version.authentication is Authentication.NONE:
        message = "There is a password, so write authentication: password as well."
        raise Wrong([section.problem("authentication", message)])
    return saved.changed


def _raw(section: Section, folder: Path) -> dict[str, Any]:
    known = (*VALUE_KEYS, "priority")
    raw = {key: value for key, value in section.values.items() if key in known}
    if section.get("ca_file"):
        raw["ca"] = secrets.text(section, "ca_file", folder)
    return raw


def _secret_change(
    scope: Scope, existing: Sender | None, raw: Mapping[str, Any], given: str | None
) -> SecretChange:
    """Keep a secret that is the stored one already, so that applying twice changes nothing."""
    if given is None:
        return Keep()
    try:
        kept = senders.candidate(scope, existing, raw, secret=Keep(), actor=OPERATOR)
    except Invalid:
        return Replace(given)
    return Keep() if kept.secret == given else Replace(given)


def _refuse_what_is_not_there(section: Section) -> None:
    problems = [
        section.problem(key, "This version does not act on this key yet. Take it out.")
        for key in NOT_YET
        if key in section.values
    ]
    if section.get("authentication") not in (None, *_SPOKEN):
        message = f"This version speaks {' and '.join(_SPOKEN)}."
        problems.append(section.problem("authentication", message))
    if problems:
        raise Wrong(problems)
