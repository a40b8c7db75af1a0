"""Settings as code from the database, in a stable order. No secret is among them: a comment stands
where one belongs. Applying the text again changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import yaml
from sqlalchemy import select

from portal.extensions import db
from portal.identity import administrators, tokens
from portal.identity.models import ApiToken, Membership, Organization, OrganizationState, User
from portal.notifications import routing
from portal.settings import effective, logos, senders
from portal.settings.images import Image
from portal.settings.mail_rules import HOST_KEYS, ORGANIZATION_KEYS
from portal.settings.models import Sender, VersionState
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
_DEFAULTS = SenderValues("", "", "", 0)
_ALWAYS = ("encryption", "authentication")


@dataclass
class Exported:
    """The text of the file, and what lies beside it by file name: authorities (PEM) and logos."""

    lines: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

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
    lines += _list("senders", _senders(exported, HOST, "host", 4, beside), 2)
    people = [_person(user) for user in sorted(administrators.everyone(), key=lambda u: u.email)]
    lines += _list("administrators", people, 2)
    lines += _list("api_tokens", _tokens(None, "host"), 2)
    exported.lines += lines


def _organization(exported: Exported, organization: Organization, beside: bool) -> None:
    scope, slug = Scope.of(organization), organization.slug
    lines = [f"  - slug: {_value(slug)}", f"    name: {_value(organization.name)}"]
    lines += ["    mail:", *_mail(organization, 6), *_logo(exported, organization, 6, beside)]
    lines += _list("senders", _senders(exported, scope, slug, 6, beside), 4)
    lines += _list("members", [_member(*row) for row in _members(organization)], 4)
    lines += _list("routing", [_rule(rule) for rule in _rules(organization)], 4)
    lines += _list("api_tokens", _tokens(organization, slug), 4)
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
    name = f"{organization.slug if organization else 'host'}-logo.{Image.named(own).format.value}"
    exported.files[name] = content
    return [f"{' ' * indent}{'' if beside else '# '}logo_file: {_value(name)}"]


def _senders(
    exported: Exported, scope: Scope, place: str, indent: int, beside: bool
) -> list[list[str]]:
    found = []
    for sender in sorted(senders.all_of(scope), key=lambda sender: sender.name):
        values = effective.values_of(senders.shown_version(sender))
        stem = f"{place}-{_stem(sender.name)}"
        lines = _sender(sender, values)
        if values.ca:
            name = f"{stem}-ca.pem"
            exported.files[name] = values.ca.encode()
            lines.append(f"{'' if beside else '# '}ca_file: {_value(name)}")
        lines += [
            f"# {key}: {_value(f'{stem}.{_ENDINGS[key]}')}"
            for key in _SECRET_FILES[values.authentication]
        ]
        found.append(lines)
    return found


def _sender(sender: Sender, values: SenderValues) -> list[str]:
    """Its newest values; those that are the default anyway are left out."""
    version = senders.shown_version(sender)
    given = {key: getattr(values, key) for key in VALUE_KEYS if key != "ca"}
    shown = {
        key: value
        for key, value in given.items()
        if key in _ALWAYS or value != getattr(_DEFAULTS, key)
    }
    own = {key: getattr(sender, key) for key in OWN_KEYS}
    active = {} if version.state is VersionState.ACTIVE else {"active": False}
    return list(_entries({"name": sender.name} | shown | own | active))


def _person(user: User) -> list[str]:
    lines = list(_entries({"email": user.email, "name": user.name, "language": user.language}))
    return [*lines, f"# password_file: {_value(f'{_stem(user.email)}.pw')}"]


def _member(membership: Membership, user: User) -> list[str]:
    email, *rest = _person(user)
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


def _tokens(organization: Organization | None, place: str) -> list[list[str]]:
    """The usable ones. An existing token is kept; a missing one is made and written there."""
    usable = {row.name: row for row in tokens.of(organization) if tokens.is_usable(row)}
    return [_token(usable[name], place) for name in sorted(usable)]


def _token(row: ApiToken, place: str) -> list[str]:
    file = f"{place}-{_stem(row.name)}.token"
    return list(_entries({"name": row.name, "scopes": row.scopes, "token_file": file}))


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


def _stem(name: str) -> str:
    """A file name that every system takes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._@") else "_" for c in name)
