"""The catalogue of mail providers: what a preset fills in, and what it explains.

A preset fills server, port, encryption and documented limits; never a user name or a secret.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from portal.settings import provider_texts as texts
from portal.settings.provider_texts import DatedWarning
from portal.settings.sender_rules import USUAL_PORT
from portal.smtp.rules import Words
from portal.smtp.values import Authentication, Encryption

_PLACEHOLDER = re.compile(r"[A-Z][A-Z-]+")


@dataclass(frozen=True)
class Way:
    """A port with the encryption that is spoken there."""

    port: int
    encryption: Encryption


@dataclass(frozen=True)
class Region:
    """Another server of the same provider."""

    name: Words
    server: str


@dataclass(frozen=True)
class Limits:
    """What the provider documents for every account; None where it says nothing."""

    per_minute: int | None = None
    per_day: int | None = None
    connections: int | None = None
    messages_per_connection: int | None = None


@dataclass(frozen=True)
class Provider:
    """One preset.

    `server` is empty where everyone has an own one; capitals in it, and in `token_url`, are to be
    replaced (`placeholder`). The first of `ways` is the one to fill in. `username_is` and
    `password_is` are one plain line each, `steps` how to get the password. `authentication` is
    the suggested one, `also` others that work.
    """

    key: str
    name: str
    server: str
    ways: tuple[Way, ...]
    username_is: Words
    password_is: Words
    domains: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    steps: tuple[Words, ...] = ()
    notes: tuple[Words, ...] = ()
    warnings: tuple[DatedWarning, ...] = ()
    limits: Limits = Limits()
    authentication: Authentication = Authentication.PASSWORD
    also: tuple[Authentication, ...] = ()
    token_url: str | None = None
    scope: str | None = None

    @property
    def port(self) -> int:
        return self.ways[0].port

    @property
    def encryption(self) -> Encryption:
        return self.ways[0].encryption

    @property
    def servers(self) -> tuple[str, ...]:
        """Every server of this provider."""
        return tuple(filter(None, (self.server, *(region.server for region in self.regions))))

    @property
    def placeholder(self) -> str | None:
        """The part of the server that a person has to replace."""
        found = _PLACEHOLDER.search(self.server)
        return found[0] if found else None

    @property
    def takes_password(self) -> bool:
        return Authentication.PASSWORD in (self.authentication, *self.also)

    def fills(self) -> dict[str, Any]:
        """The keys of a sender with the values that this preset gives them."""
        known = {key: value for key, value in vars(self.limits).items() if value is not None}
        return {
            "server": self.server,
            "port": self.port,
            "encryption": self.encryption.value,
            **known,
        }


@dataclass(frozen=True)
class Guess:
    """Where no provider is known: what most companies call their server. `server` is empty where
    the address has no domain yet."""

    server: str
    port: int = USUAL_PORT[Encryption.STARTTLS]
    encryption: Encryption = Encryption.STARTTLS


def all() -> tuple[Provider, ...]:  # noqa: A001 - read as providers.all()
    """Every preset, in the order of the catalogue."""
    return _catalogue()


def by_key(key: str) -> Provider | None:
    return next((provider for provider in all() if provider.key == key), None)


def suggest(address: str) -> Provider | Guess:
    """The preset for the domain of a typed address, else a guess at its server."""
    _, _, domain = address.strip().rpartition("@")
    domain = domain.strip().rstrip(".").lower() if "@" in address else ""
    found = next((p for p in all() if any(_is_of(domain, known) for known in p.domains)), None)
    return found or Guess(f"smtp.{domain}" if domain else "")


def of_server(server: str) -> Provider | None:
    """The provider that the server belongs to; the first where two presets share it."""
    wanted = server.strip().rstrip(".").lower()
    for provider in all():
        if any(re.fullmatch(_pattern(known), wanted) for known in provider.servers):
            return provider
    return None


def _is_of(domain: str, known: str) -> bool:
    return domain.endswith(known) if known.startswith(".") else domain == known


def _pattern(server: str) -> str:
    """The server, with one label's letters in place of each placeholder."""
    return r"[a-z0-9-]+".join(re.escape(part) for part in _PLACEHOLDER.split(server))


@cache
def _catalogue() -> tuple[Provider, ...]:
    text = files("portal.settings").joinpath("providers.toml").read_text(encoding="utf-8")
    return tuple(_provider(entry) for entry in tomllib.loads(text)["provider"])


def _provider(entry: Mapping[str, Any]) -> Provider:
    key = entry["key"]
    return Provider(
        key=key,
        name=entry["name"],
        server=entry["server"],
        ways=tuple(_way(text) for text in entry["ways"]),
        username_is=texts.USERS.get(key, texts.FULL_ADDRESS),
        password_is=texts.PASSWORDS[entry["password"]],
        domains=tuple(entry.get("domains", ())),
        regions=tuple(
            Region(texts.REGIONS[name], server) for name, server in entry.get("regions", {}).items()
        ),
        steps=texts.GUIDES.get(key, ()),
        notes=texts.NOTES.get(key, ()),
        warnings=texts.WARNINGS.get(key, ()),
        limits=Limits(**entry.get("limits", {})),
        authentication=Authentication(entry.get("authentication", "password")),
        also=tuple(Authentication(name) for name in entry.get("also", ())),
        token_url=entry.get("token_url"),
        scope=entry.get("scope"),
    )


def _way(text: str) -> Way:
    port, encryption = text.split()
    return Way(int(port), Encryption(encryption))
