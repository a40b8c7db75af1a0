"""What an organization's identity fields inherit and what applies, in plain values for a page."""

from dataclasses import dataclass
from typing import Any

from portal.identity.models import Organization
from portal.settings import effective
from portal.settings.effective import Origin
from portal.settings.mail_rules import INHERITED_KEYS
from portal.settings.models import Mode, Sender, VersionState
from portal.settings.scope import HOST, Scope


@dataclass(frozen=True)
class Field:
    """One identity value. `own` is what the organization set, `inherited` what applies without
    it, `applies` what applies now; each None where there is none. `by_sender`: without `own` the
    organization's own sender says it, not the platform."""

    origin: Origin
    own: Any
    inherited: Any
    applies: Any
    by_sender: bool = False

    @property
    def is_own(self) -> bool:
        return self.origin is Origin.ORGANIZATION


def fields(organization: Organization) -> dict[str, Field]:
    """Every identity field by its key."""
    own = effective.settings_of(Scope.of(organization))
    without = effective.identity(None) | {
        "display_name": effective.Value(_inherited_name(organization), Origin.HOST),
        "reply_to": effective.Value(_inherited_reply_to(organization), Origin.HOST),
    }
    by_sender = ("display_name", "reply_to") if _own_default(organization) else ()
    found = {}
    for key in INHERITED_KEYS:
        mine, theirs = getattr(own, key), without[key].value
        origin = Origin.HOST if mine is None else Origin.ORGANIZATION
        found[key] = Field(origin, mine, theirs, theirs if mine is None else mine, key in by_sender)
    return found


def host_from_address() -> str | None:
    """The address in From of mail by the host's default sender; its server stays unsaid."""
    sender = effective.default_sender(HOST)
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    return version.from_address if version else None


def fallback_name(organization: Organization) -> str:
    """As whom mail goes by the host's sender."""
    own = effective.settings_of(Scope.of(organization)).display_name or organization.name
    return f"{own} (via {effective.platform_name()})"


def _inherited_name(organization: Organization) -> str:
    """The name in From where the organization sets none."""
    sender = _own_default(organization)
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    if version is not None:
        return version.display_name
    return f"{organization.name} (via {effective.platform_name()})"


def _inherited_reply_to(organization: Organization) -> str | None:
    sender = _own_default(organization)
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    return version.reply_to if version else None


def _own_default(organization: Organization) -> Sender | None:
    scope = Scope.of(organization)
    is_own = effective.settings_of(scope).mode is Mode.OWN
    return effective.default_sender(scope) if is_own else None
