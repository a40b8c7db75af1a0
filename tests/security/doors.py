"""Every route and method of the portal, and how to write its address."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule

from tests.security import who_may
from tests.security.world import (
    ABSENT_ID,
    ABSENT_NAME,
    ABSENT_SLUG,
    ABSENT_TOKEN,
    Caller,
    Who,
    World,
)

SAFE = ("GET", "HEAD")
HOST_CALLS = {name for name, scopes in who_may.API.items() if scopes.host_only}
# Which planted link each page with a token opens; a page that is not here opens none.
_LINKS = {
    "auth.invitation": ("acme", "invitation"),
    "auth.invitation_accept": ("acme", "invitation"),
    "auth.new_password": ("host", "recovery"),
    "auth.decide": ("acme", "decision"),
    "auth.decide_now": ("acme", "decision"),
}
# Mail as it is read, in a frame that runs nothing: its policy is its own.
FRAMED = {"host.mail_catcher_html", "host.record_letter", "organization.record_letter"}
# Arguments that name no object: any value that the route takes.
_WORDS = {"mode": "own"}


@dataclass(frozen=True)
class Door:
    """One method of one route."""

    endpoint: str
    method: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.method} {self.rule} ({self.endpoint})"

    @property
    def is_api(self) -> bool:
        return self.endpoint.startswith("api.")

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE

    @property
    def is_inside(self) -> bool:
        """Whether it lies inside an organization: the host only looks at one."""
        return "organization" in self.rule.arguments and not self.is_of_host

    @property
    def is_of_host(self) -> bool:
        """A page of the host, or a call about organizations themselves."""
        return self.endpoint.startswith("host.") or self.endpoint in HOST_CALLS

    @property
    def objects(self) -> set[str]:
        """The arguments that name a thing, beside the organization."""
        return set(self.rule.arguments) - {"organization"} - set(_WORDS)

    def at(self, world: World, *, slug: str, owner: str) -> str:
        """The address: `slug` fills the organization, `owner`'s things the other arguments.

        An owner without such a thing gives the address of an absent one.
        """
        things = world.things.get(owner, {})
        return self._written({"organization": slug}, things)

    def absent(self, slug: str) -> str:
        """The address of a thing that never was."""
        return self._written({"organization": slug}, {})

    def _written(self, values: Mapping[str, str], things: Mapping[str, str]) -> str:
        filled = dict(values) | _WORDS
        for name in self.objects:
            key = _LINKS[self.endpoint][1] if self._is_link(name) else name
            filled[name] = things.get(key, _absent(self.rule, name))
        built = self.rule.build(
            {name: _typed(self.rule, name, filled[name]) for name in self.rule.arguments}
        )
        assert built is not None, f"{self}: no address from {filled}"
        return built[1]

    def _is_link(self, name: str) -> bool:
        return name == "token" and self.endpoint in _LINKS


def owner_of(door: Door, slug: str, caller: Caller) -> str:
    """Whose things a door shows: those of the organization, or at a bare path of the API those of
    the token's owner; else the host's."""
    if door.endpoint in _LINKS:
        return _LINKS[door.endpoint][0]
    if door.is_inside:
        return slug
    return home_of(caller) if door.is_api and not door.is_of_host else "host"


def home_of(caller: Caller) -> str:
    """Where somebody belongs: the host, or an organization by its slug."""
    if caller.who.name.startswith("HOST_"):
        return "host"
    return "globex" if caller.who in (Who.CAROL, Who.GLOBEX_TOKEN) else "acme"


def all_doors(app: Flask) -> Iterator[Door]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Door(rule.endpoint, method, rule)


def _absent(rule: Rule, name: str) -> str:
    kind = type(rule._converters[name]).__name__
    absent = {
        "UUIDConverter": str(ABSENT_ID),
        "SlugConverter": ABSENT_SLUG,
        "TokenConverter": ABSENT_TOKEN,
        "NameConverter": ABSENT_NAME,
    }
    assert kind in absent, f"{rule}: say in tests/security/doors.py what fills <{name}>"
    return absent[kind]


def _typed(rule: Rule, name: str, value: str) -> object:
    return rule._converters[name].to_python(value)
