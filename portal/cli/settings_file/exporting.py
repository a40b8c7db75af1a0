"""Settings as code from the database, in a stable order. No secret is among them: a comment stands
where one belongs. Applying the text again changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import yaml
from sqlalchemy import select

from portal.cli.settings_file import beside as places
from portal.cli.settings_file.beside import stem
from portal.extensions import db
from portal.identity import administrators, tokens
from portal.identity.models import ApiToken, Membership, Organization, OrganizationState, User
from portal.notifications import routing
from portal.settings import effective, logos, own_fields, senders
from portal.settings.images import Image
from portal.settings.mail_rules import HOST_KEYS, ORGANIZATION_KEYS
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.own_fields import OWN_KEYS
from portal.settings.scope import HOST, Scope
from portal.settings.sender_rules import VALUE_KEYS, SenderValues
from portal.smtp.values import Authentication

_HEAD = (
    "# Settings without secrets, for `portal apply`. Stored secrets stay as they are; where one is",
    "# to be set, take the # away and write it into the file that is named there.",
)
_SECRET_FILES = {
    Authentication.NONE: (),
    Authentication.PASSWORD: ("password_file",),
    Authentication.OAUTH2_CLIENT_CREDENTIALS: ("client_secret_file",),
    Authentication.OAUTH2_SERVICE_ACCOUNT: ("private_key_file",),
    Authentication.OAUTH2_REFRESH_TOKEN: ("client_secret_file", "refresh_token_file"),
}
_ENDINGS = {
    "password_file": "pw",
    "client_secret_file": "pw",
    "private_key_file": "key",
    "refresh_token_file": "refresh",
}
_DRAFT_LEFT_OUT = "# These are the values that it sends with. A draft of it was left out."
_DEFAULTS = SenderValues("", "", "", 0)
_ALWAYS = ("encryption", "authentication")


@dataclass
class Exported:
    """The text of the file, and what lies beside it by path: authorities (PEM) and logos.

    `folders` are those of all files that the text names, also of the secrets that are not there.
    """

    lines: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def path(self, folder: str, name: str) -> str:
        self.folders.add(folder)
        return f"{folder}/{name}"

    @property
    def text(self) -> str:
        return "\n".join([*_HEAD, *self.lines]) + "\n"


def export(*, beside: bool) -> Exported:
    """Everything that a settings file can say. `beside`: there is a folder for more files."""
    exported = Exported()
    _host(exported, beside)
    found = db.session.scalars(
        select(Organization)
        .where(Organization.state != OrganizationState.DELETED)
        .order_by(Organization.slug)
    ).all()
    exported.lines += ["organizations:"] if found else []
    for organization in found:
        _organization(exported, organization, beside)
    return exported


def _host(exported: Exported, beside: bool) -> None:
    lines = ["host:", "  mail:", *_mail(None, 4), *_logo(exported, None, 4, beside)]
    opened = effective.settings_of(HOST).allowed_destinations
    lines.append(f"  allowed_destinations: {_value(list(opened))}")
    lines += _list("senders", _senders(exported, None, 4, beside), 2)
    people = [
        _person(exported, user) for user in sorted(administrators.everyone(), key=lambda u: u.email)
    ]
    lines += _list("administrators", people, 2)
    lines += _list("api_tokens", _tokens(exported, None), 2)
    exported.lines += lines


def _organization(exported: Exported, organization: Organization, beside: bool) -> None:
    lines = [f"  - slug: {_value(organization.slug)}", f"    name: {_value(organization.name)}"]
    lines += ["    mail:", *_mail(organization, 6), *_logo(exported, organization, 6, beside)]
    lines += _list("senders", _senders(exported, organization, 6, beside), 4)
    lines += _list("members", [_member(exported, *row) for row in _members(organization)], 4)
    lines += _list("routing", [_rule(rule) for rule in _rules(organization)], 4)
    lines += _list("api_tokens", _tokens(exported, organization), 4)
    exported.lines += lines


def _mail(organization: Organization | None, indent: int) -> list[str]:
    """What the scope itself sets; what it inherits is left out."""
    settings = effective.settings_of(Scope.of(organization))
    default = effective.default_sender(Scope.of(organization))
    keys = HOST_KEYS if organization is None else ORGANIZATION_KEYS
    values = {key: getattr(settings, key) for key in keys if key != "default_sender"}
    values["default_sender"] = default.name if default else None
    return [f"{' ' * indent}{line}" for line in _entries({key: values[key] for key in keys})]


def _logo(
    exported: Exported, organization: Organization | None, indent: int, beside: bool
) -> list[str]:
    """The scope's own logo, as a file beside."""
    scope = Scope.of(organization)
    own = effective.settings_of(scope).logo
    content = logos.content_of(scope, Image.named(own)) if own else None
    if own is None or content is None:
        return []
    name = f"logo.{Image.named(own).format.value}"
    path = exported.path(places.folder_of(organization), name)
    exported.files[path] = content
    return [f"{' ' * indent}{'' if beside else '# '}logo_file: {_value(path)}"]


def _senders(
    exported: Exported, organization: Organization | None, indent: int, beside: bool
) -> list[list[str]]:
    found = []
    folder = places.folder_of(organization)
    for sender in sorted(senders.all_of(Scope.of(organization)), key=lambda sender: sender.name):
        version = _sending_version(sender)
        values = effective.values_of(version)
        lines = _sender(sender, version, values)
        if values.ca:
            path = exported.path(folder, f"{stem(sender.name)}-ca.pem")
            exported.files[path] = values.ca.encode()
            lines.append(f"{'' if beside else '# '}ca_file: {_value(path)}")
        for key in _SECRET_FILES[values.authentication]:
            path = exported.path(folder, f"{stem(sender.name)}.{_ENDINGS[key]}")
            lines.append(f"# {key}: {_value(path)}")
        found.append(lines)
    return found


def _sending_version(sender: Sender) -> SenderVersion:
    """The version that sends; where none does, the newest values."""
    return effective.version_of(sender, VersionState.ACTIVE) or senders.shown_version(sender)


def _sender(sender: Sender, version: SenderVersion, values: SenderValues) -> list[str]:
    """Its values; those that are the default anyway are left out."""
    given = {key: getattr(values, key) for key in VALUE_KEYS if key != "ca"}
    shown = {
        key: value
        for key, value in given.items()
        if key in _ALWAYS or value != getattr(_DEFAULTS, key)
    }
    own = {key: getattr(sender, key) for key in OWN_KEYS}
    known = own_fields.kinds_of(at_host=sender.organization_id is None)
    own["kinds"] = [kind for kind in sender.kinds if kind in known]
    if not sender.enabled:
        own["enabled"] = False
    is_active = version.state is VersionState.ACTIVE
    active = {} if is_active else {"active": False}
    lines = list(_entries({"name": sender.name} | shown | own | active))
    return [*lines, _DRAFT_LEFT_OUT] if is_active and senders.has_draft(sender) else lines


def _person(exported: Exported, user: User) -> list[str]:
    lines = list(_entries({"email": user.email, "name": user.name, "language": user.language}))
    path = exported.path(places.PEOPLE, f"{stem(user.email)}.pw")
    return [*lines, f"# password_file: {_value(path)}"]


def _member(exported: Exported, membership: Membership, user: User) -> list[str]:
    email, *rest = _person(exported, user)
    return [email, f"role: {_value(membership.role)}", *rest]


def _members(organization: Organization) -> list[tuple[Membership, User]]:
    found = db.session.execute(
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.organization_id == organization.id)
        .order_by(User.email)
    )
    return [(membership, user) for membership, user in found]


def _rules(organization: Organization) -> list[Any]:
    return sorted(
        routing.rules_of(organization),
        key=lambda rule: (rule.category, rule.minimum_severity, rule.audience),
    )


def _rule(rule: Any) -> list[str]:
    keys = ("category", "minimum_severity", "audience")
    return list(_entries({key: getattr(rule, key) for key in keys}))


def _tokens(exported: Exported, organization: Organization | None) -> list[list[str]]:
    """The usable ones. An existing token is kept; a missing one is made and written there."""
    usable = {row.name: row for row in tokens.of(organization) if tokens.is_usable(row)}
    folder = places.folder_of(organization)
    return [_token(exported, usable[name], folder) for name in sorted(usable)]


def _token(exported: Exported, row: ApiToken, folder: str) -> list[str]:
    path = exported.path(folder, f"{stem(row.name)}.token")
    return list(_entries({"name": row.name, "scopes": row.scopes, "token_file": path}))


def _list(key: str, items: list[list[str]], indent: int) -> list[str]:
    if not items:
        return []
    space = " " * indent
    lines = [f"{space}{key}:"]
    for first, *rest in items:
        lines += [f"{space}  - {first}", *(f"{space}    {line}" for line in rest)]
    return lines


def _entries(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value is not None:
            yield f"{key}: {_value(value)}"


def _value(value: Any) -> str:
    """One line of YAML. Texts that YAML would read as something else are quoted."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, datetime):
        value = value.isoformat()
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")
