"""Values of a sender before any save: checked, with the secrets that may go with them."""

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.address_spelling import with_port
from portal.audit.log import Actor
from portal.destinations import AllowedDestinations
from portal.settings import (
    binding,
    effective,
    oauth2_rules,
    platform_addresses,
    platform_names,
    rotation,
    sender_rules,
)
from portal.settings.binding import Part
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.oauth2_rules import SECRET_KEY
from portal.settings.scope import HOST, Scope
from portal.settings.sender_rules import SenderValues
from portal.smtp import oauth2_endpoint
from portal.smtp.values import Authentication
from portal.validation import FieldError, Invalid


@dataclass(frozen=True)
class Keep:
    """Keep the stored secrets, if the destination is still the one they were given for."""


@dataclass(frozen=True)
class Replace:
    """New secrets. None keeps the stored one of the two, on the terms of Keep; "" has none.

    `refresh_token` belongs to the refresh grant, whose `secret` is the client's. `given_as` is
    the key under which the secret came, where that is known: a secret of another kind is refused.
    """

    secret: str | None = dataclasses.field(repr=False)
    refresh_token: str | None = dataclasses.field(default=None, repr=False)
    given_as: str | None = None


@dataclass(frozen=True)
class Clear:
    """Forget the stored secrets."""


SecretChange = Keep | Replace | Clear
_REFRESH = Authentication.OAUTH2_REFRESH_TOKEN
_MISSING = {
    "password": "Enter the password or authorization code.",
    "client_secret": "Enter the client secret.",
    "private_key": "Enter the private key, as PEM or as Google's key file (JSON).",
    "refresh_token": "Enter the refresh token.",
}
_CALLED = {
    "password": "password",
    "client_secret": "client secret",
    "private_key": "private key",
    "refresh_token": "refresh token",
}


@dataclass(frozen=True)
class Candidate:
    """Values that passed the rules, with the secrets that may go with them, before any save.

    `given_token` names the refresh token as a person gave it (see `binding.given`);
    `stored_in` is the version that `refresh_token` was taken from, None where it was typed.
    """

    values: SenderValues
    secret: str | None = dataclasses.field(repr=False)
    secret_change: SecretChange = dataclasses.field(default_factory=Keep)
    refresh_token: str | None = dataclasses.field(default=None, repr=False)
    given_token: str | None = None
    stored_in: uuid.UUID | None = None


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
    """Check unsaved values and find the secrets that may go with them; changes nothing.

    Raises Invalid; also where a stored secret would go to another destination.
    """
    current = shown_version(sender) if sender else None
    base = effective.values_of(current) if current else None
    try:
        values = sender_rules.parse(raw, base=base, at_host=scope.is_host, by_host=actor.is_host)
        _check_it_is_not_the_platform(scope, values, base, actor)
    except Invalid as refused:
        raise Invalid([*refused.errors, *_missing_secret(raw, current, secret)]) from None
    if values.authentication is Authentication.NONE:
        return Candidate(values, None, Clear())
    _check_token_url(values)
    _check_kind_of_secret(values, secret)
    stored = _Stored(scope, sender, current, values)
    found = _with_secrets(stored, secret)
    missing = _missing(values.authentication, found.secret, found.refresh_token)
    if missing:
        raise Invalid([missing])
    oauth2_rules.check_secret(values.authentication, found.secret, values.client_id)
    return found


def _check_it_is_not_the_platform(
    scope: Scope, values: SenderValues, base: SenderValues | None, actor: Actor
) -> None:
    """An address that the platform uses is refused also where it is stored already."""
    errors = platform_addresses.errors_of(scope, values)
    if not actor.is_host:
        kept = base.display_name if base else None
        errors += platform_names.errors_of(values.display_name, kept=kept)
    if errors:
        raise Invalid(errors)


class _Stored:
    """The secrets of the shown version, which open for its own destination only."""

    def __init__(
        self,
        scope: Scope,
        sender: Sender | None,
        current: SenderVersion | None,
        values: SenderValues,
    ) -> None:
        self.scope, self.values = scope, values
        self.version = current
        self._sender = sender
        # The secret of one kind of login is not one of another.
        same_kind = current is not None and current.authentication is values.authentication
        self.has_secret = same_kind and current is not None and current.secret is not None
        by_refresh = same_kind and values.authentication is _REFRESH
        self.has_token = by_refresh and current is not None and current.refresh_token is not None

    @property
    def is_elsewhere(self) -> bool:
        assert self.version is not None
        old = effective.values_of(self.version)
        return binding.destination(self.scope, old) != binding.destination(self.scope, self.values)

    def opened(self, sealed: str | None, part: Part) -> str | None:
        assert self.version is not None and self._sender is not None
        if sealed is None:
            return None
        values = effective.values_of(self.version)
        return binding.unseal(
            sealed, scope=self.scope, sender_id=self._sender.id, values=values, part=part
        )


def _with_secrets(stored: _Stored, change: SecretChange) -> Candidate:
    values, version = stored.values, stored.version
    if isinstance(change, Clear):
        return Candidate(values, None, change)
    given = change if isinstance(change, Replace) else Replace(None)
    token = given.refresh_token if values.authentication is _REFRESH else None
    keeps_secret = given.secret is None and stored.has_secret
    keeps_token = token is None and stored.has_token
    if (keeps_secret or keeps_token) and stored.is_elsewhere:
        raise Invalid(_again(stored, keeps_secret, keeps_token))
    secret = given.secret
    if keeps_secret and version is not None:
        secret = stored.opened(version.secret, Part.SECRET)
    name = binding.given(stored.scope, token) if token else None
    if version is not None and stored.has_token and not stored.is_elsewhere:
        # The token that was given before: another one may have taken its place meanwhile.
        keeps_token = keeps_token or name == version.refresh_token_given
    if keeps_token and version is not None:
        newest = stored.opened(version.refresh_token, Part.REFRESH_TOKEN)
        name = version.refresh_token_given
        return Candidate(values, secret or None, change, newest, name, version.id)
    newest = rotation.newest(stored.scope, values, token, name) if token and name else None
    return Candidate(values, secret or None, change, newest, name)


def _again(stored: _Stored, secret: bool, token: bool) -> list[FieldError]:
    assert stored.version is not None
    old = effective.values_of(stored.version)
    place = f"{with_port(old.server, old.port)} as {old.login_name}"
    if old.token_url_or_default:
        place = f"{old.token_url_or_default} and {place}"
    keys = [SECRET_KEY[old.authentication]] if secret else []
    keys += ["refresh_token"] if token else []
    return [
        FieldError(
            key,
            f"Enter the {_CALLED[key]} again: the stored one goes to {place} only, "
            "and that was changed.",
        )
        for key in keys
    ]


def _check_token_url(values: SenderValues) -> None:
    """Plain http goes to what a system administrator opened; connecting checks that again, with
    the addresses that the name has then."""
    url = values.token_url_or_default
    if not url or not values.authentication.is_oauth2:
        return
    endpoint = oauth2_endpoint.read(url)
    entries = effective.settings_of(HOST).allowed_destinations
    allowed = AllowedDestinations.parse(list(entries))
    if endpoint.clear and not allowed.opens_port(endpoint.port):
        raise Invalid.field(
            "token_url",
            "Write https://: without encryption the secret would cross the network in clear. "
            "Plain http is for destinations that a system administrator opened.",
        )


def _check_kind_of_secret(values: SenderValues, change: SecretChange) -> None:
    if not isinstance(change, Replace):
        return
    known, kind = SECRET_KEY[values.authentication], values.authentication.value
    if change.given_as and change.given_as != known:
        raise Invalid.field(
            change.given_as, f"With authentication {kind} the secret is called {known}."
        )
    if change.refresh_token and values.authentication is not _REFRESH:
        raise Invalid.field(
            "refresh_token", f"This belongs to authentication {_REFRESH.value}, not to {kind}."
        )


def _missing(
    authentication: Authentication, secret: object, refresh_token: object
) -> FieldError | None:
    """A client without a secret is a public one (RFC 6749, 2.1): it has a refresh token alone."""
    key = "refresh_token" if authentication is _REFRESH else SECRET_KEY[authentication]
    has_one = refresh_token if authentication is _REFRESH else secret
    return None if has_one else FieldError(key, _MISSING[key])


def _missing_secret(
    raw: Mapping[str, Any], current: SenderVersion | None, change: SecretChange
) -> list[FieldError]:
    """The refusal of a secret that is not there, told with those of the other fields."""
    stored = current.authentication if current else Authentication.NONE
    try:
        wanted = Authentication(raw.get("authentication", stored))
    except ValueError:
        wanted = Authentication.PASSWORD
    if wanted is Authentication.NONE:
        return []
    secret, token = _given_or_stored(change, current)
    missing = _missing(wanted, secret, token)
    return [missing] if missing else []


def _given_or_stored(
    change: SecretChange, current: SenderVersion | None
) -> tuple[str | None, str | None]:
    if isinstance(change, Clear):
        return None, None
    given = change if isinstance(change, Replace) else Replace(None)
    secret, token = given.secret, given.refresh_token
    if current is not None:
        secret = current.secret if secret is None else secret
        token = current.refresh_token if token is None else token
    return secret, token
