"""Values of a sender before any save: checked, with the secret that may go with them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.audit.log import Actor
from portal.settings import binding, effective, sender_rules
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import Scope
from portal.settings.sender_rules import SenderValues
from portal.smtp.values import Authentication
from portal.validation import FieldError, Invalid


@dataclass(frozen=True)
class Keep:
    """Keep the stored secret, if the destination is still the one it was given for."""


@dataclass(frozen=True)
class Replace:
    secret: str = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Clear:
    """Forget the stored secret."""


SecretChange = Keep | Replace | Clear
_NO_SECRET = FieldError("password", "Enter the password or authorization code.")


@dataclass(frozen=True)
class Candidate:
    """Values that passed the rules, with the secret that may go with them, before any save."""

    values: SenderValues
    secret: str | None = dataclasses.field(repr=False)
    secret_change: SecretChange = dataclasses.field(default_factory=Keep)


def shown_version(sender: Sender) -> SenderVersion:
    """What a page shows: the draft if there is one, else the active version."""
    draft = effective.version_of(sender, VersionState.DRAFT)
    return draft or effective.version_of(sender, VersionState.ACTIVE) or sender.versions[-1]


def candidate(
    scope: Scope,
    sender: Sender | None,
    raw: Mapping[str, Any],
    *,
    secret: SecretChange,
    actor: Actor,
) -> Candidate:
    """Check unsaved values and find the secret that may go with them; changes nothing.

    Raises Invalid; also where a stored secret would go to another destination.
    """
    current = shown_version(sender) if sender else None
    base = effective.values_of(current) if current else None
    try:
        values = sender_rules.parse(raw, base=base, at_host=scope.is_host, by_host=actor.is_host)
    except Invalid as refused:
        raise Invalid([*refused.errors, *_missing_secret(raw, current, secret)]) from None
    clear = _clear_secret(scope, sender, current, values, secret)
    if values.authentication is Authentication.NONE:
        return Candidate(values, None, Clear())
    if not clear:
        raise Invalid([_NO_SECRET])
    return Candidate(values, clear, secret)


def _missing_secret(
    raw: Mapping[str, Any], current: SenderVersion | None, change: SecretChange
) -> list[FieldError]:
    """The refusal of a secret that is not there, told with those of the other fields."""
    stored = current.authentication if current else Authentication.NONE
    asks = raw.get("authentication", stored) != Authentication.NONE
    has_stored = isinstance(change, Keep) and current is not None and current.secret is not None
    has_one = has_stored or (isinstance(change, Replace) and change.secret != "")
    return [_NO_SECRET] if asks and not has_one else []


def _clear_secret(
    scope: Scope,
    sender: Sender | None,
    current: SenderVersion | None,
    values: SenderValues,
    change: SecretChange,
) -> str | None:
    if isinstance(change, Replace):
        return change.secret
    if isinstance(change, Clear) or sender is None or current is None or not current.secret:
        return None
    if values.authentication is Authentication.NONE:
        return None
    stored_for = effective.values_of(current)
    if binding.destination(scope, stored_for) != binding.destination(scope, values):
        raise Invalid.field(
            "password",
            f"Enter the password again: the stored one goes to {stored_for.server}:"
            f"{stored_for.port} as {stored_for.login_name} only, and that was changed.",
        )
    return binding.unseal(current.secret, scope=scope, sender_id=sender.id, values=stored_for)
