"""Which network addresses may be connected to: for SMTP, webhooks and token endpoints.

A guard looks a name up once and hands back the very addresses that it checked. Callers connect
to those and verify certificates against the name, so an answer that changes later changes nothing.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from portal.address_spelling import Address, OddSpelling, is_public, read_host
from portal.validation import FieldError, Invalid

Resolver = Callable[[str, int], list[str]]

# The ports on which mail providers take submissions; some offer 80 and 2525 where 25 is blocked.
SMTP_PORTS = frozenset({25, 80, 465, 587, 994, 2465, 2525, 2587})
WEB_PORTS = frozenset({443})


class Forbidden(Exception):
    """The destination may not be connected to.

    `reason`: `spelling`, `port`, `address`, or `clear` where only the lack of encryption is why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"destination forbidden: {reason}")


class NameNotFound(Exception):
    """The name has no address. `temporary`: the name servers gave no answer; ask again later."""

    def __init__(self, host: str, temporary: bool) -> None:
        self.host = host
        self.temporary = temporary
        super().__init__(f"no address for {host}")


class Guard(Protocol):
    """Decides where a connection may go."""

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The checked IP addresses, in the order to try. Raises Forbidden, NameNotFound."""
        ...

    def web_addresses(self, host: str, port: int, *, clear: bool) -> tuple[str, ...]:
        """The same for a web address: on port 443, or where the destination was opened.

        `clear` is http: only to what was opened by its name or address.
        """
        ...


@dataclass(frozen=True)
class AllowedDestination:
    """One opened destination: a network or a name, with exactly these ports."""

    target: IPv4Network | IPv6Network | str
    ports: frozenset[int]


@dataclass(frozen=True)
class AllowedDestinations:
    """What a system administrator opened to organizations beside the public internet."""

    entries: tuple[AllowedDestination, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "AllowedDestinations":
        """From `10.20.0.0/16:25,465`, `relay.acme.local:25`, `[::1]:25`. Raises Invalid."""
        entries: list[AllowedDestination] = []
        errors: list[FieldError] = []
        for text in texts:
            try:
                entries.append(_entry(text))
            except ValueError:
                errors.append(_refused_entry(text))
        if errors:
            raise Invalid(errors)
        return cls(tuple(entries))

    def opens_name(self, name: str, port: int) -> bool:
        return any(entry.target == name and port in entry.ports for entry in self.entries)

    def opens_address(self, address: Address, port: int) -> bool:
        return any(
            not isinstance(entry.target, str) and address in entry.target and port in entry.ports
            for entry in self.entries
        )

    def opens_port(self, port: int) -> bool:
        return any(port in entry.ports for entry in self.entries)

    def opens(self, host: str, port: int, found: Iterable[str]) -> bool:
        """Whether the name, or every address found for it, was opened with this port."""
        try:
            target = read_host(host)
        except OddSpelling:
            return False
        if isinstance(target, str) and self.opens_name(target, port):
            return True
        return all(self.opens_address(_answer(text), port) for text in found)


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses by the operating system, in its order of preference. Raises gaierror."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class HostGuard:
    """For the host's own senders: looks names up and allows every destination.

    `allowed` matters for http only.
    """

    def __init__(
        self,
        resolver: Resolver = system_resolver,
        *,
        allowed: AllowedDestinations | None = None,
        look_up_seconds: float = 10.0,
    ) -> None:
        self._resolver = resolver
        self._allowed = allowed or AllowedDestinations()
        self._seconds = look_up_seconds

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Raises NameNotFound."""
        try:
            target = read_host(host)
        except OddSpelling:
            target = host
        if not isinstance(target, str):
            return (str(target),)
        return _look_up(self._resolver, target, port, self._seconds)

    def web_addresses(self, host: str, port: int, *, clear: bool) -> tuple[str, ...]:
        """Raises NameNotFound, and Forbidden for http that was not opened."""
        found = self.addresses(host, port)
        if clear and not self._allowed.opens(host, port, found):
            raise Forbidden("clear")
        return found


class OrganizationGuard:
    """For what organizations typed: public addresses on known ports, and what was opened."""

    def __init__(
        self,
        allowed: AllowedDestinations,
        resolver: Resolver = system_resolver,
        *,
        ports: frozenset[int] = SMTP_PORTS,
        look_up_seconds: float = 10.0,
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._ports = ports
        self._seconds = look_up_seconds

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Raises Forbidden where one single address is not allowed, and NameNotFound."""
        target = _plain(host)
        if port not in self._ports and not self._allowed.opens_port(port):
            raise Forbidden("port")
        if not isinstance(target, str):
            self._check(target, port)
            return (str(target),)
        if self._allowed.opens_name(target, port):
            return _look_up(self._resolver, target, port, self._seconds)
        found = _look_up(self._resolver, target, port, self._seconds)
        if target == "localhost" or target.endswith(".localhost"):
            return self._opened(found, port)
        for text in found:
            self._check(_answer(text), port)
        return found

    def web_addresses(self, host: str, port: int, *, clear: bool) -> tuple[str, ...]:
        """Raises Forbidden and NameNotFound like `addresses`."""
        web = OrganizationGuard(
            self._allowed, self._resolver, ports=WEB_PORTS, look_up_seconds=self._seconds
        )
        found = web.addresses(host, port)
        if clear and not self._allowed.opens(host, port, found):
            raise Forbidden("clear")
        return found

    def _opened(self, found: tuple[str, ...], port: int) -> tuple[str, ...]:
        # This machine, whatever the resolver says (RFC 6761): only by addresses that were opened,
        # be it one of its two families alone.
        opened = tuple(text for text in found if self._allowed.opens_address(_answer(text), port))
        if not opened:
            raise Forbidden("address")
        return opened

    def _check(self, address: Address, port: int) -> None:
        if self._allowed.opens_address(address, port):
            return
        if not is_public(address):
            raise Forbidden("address")
        if port not in self._ports:
            raise Forbidden("port")


def _plain(host: str) -> Address | str:
    try:
        return read_host(host)
    except OddSpelling:
        raise Forbidden("spelling") from None


def _answer(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise Forbidden("address") from None


def _look_up(resolver: Resolver, host: str, port: int, seconds: float) -> tuple[str, ...]:
    """One look-up with a deadline, without doubles.

    getaddrinfo can't be interrupted, so it runs in a thread that is left behind when it is late.
    """
    answers: list[list[str] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answers.append(resolver(host, port))
        except (OSError, UnicodeError) as problem:
            answers.append(problem)

    thread = threading.Thread(target=ask, name="name look-up", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise NameNotFound(host, temporary=True)
    return _found(host, answers[0])


# No such name; a name without addresses; a name without addresses of our family.
_FINAL = frozenset(
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)  # not every system has all three
)


def _found(host: str, answer: list[str] | OSError | UnicodeError) -> tuple[str, ...]:
    if isinstance(answer, socket.gaierror):
        raise NameNotFound(host, temporary=answer.errno not in _FINAL) from answer
    if isinstance(answer, UnicodeError):
        raise NameNotFound(host, temporary=False) from answer
    if isinstance(answer, OSError):
        raise NameNotFound(host, temporary=True) from answer
    if not answer:
        raise NameNotFound(host, temporary=False)
    return tuple(dict.fromkeys(answer))


_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)(/[0-9]{1,3})?\](/[0-9]{1,3})?:([0-9,]+)", re.ASCII)
_BARE = re.compile(r"([^\s:\[\]/]+)(/[0-9]{1,2})?:([0-9,]+)", re.ASCII)


def _entry(text: str) -> AllowedDestination:
    text = re.sub(r",\s+", ",", text.strip())
    if match := _BRACKETED.fullmatch(text):
        host, inside, outside, ports = match.groups()
        if inside and outside:
            raise ValueError(text)
        return AllowedDestination(IPv6Network(host + (inside or outside or "")), _ports(ports))
    if match := _BARE.fullmatch(text):
        host, length, ports = match.groups()
        target = read_host(host)
        if isinstance(target, str):
            if length:
                raise ValueError(text)
            return AllowedDestination(target, _ports(ports))
        return AllowedDestination(IPv4Network(host + (length or "")), _ports(ports))
    raise ValueError(text)


def _ports(text: str) -> frozenset[int]:
    ports = frozenset(int(part) for part in text.split(","))
    if not all(1 <= port <= 65535 for port in ports):
        raise ValueError(text)
    return ports


def _refused_entry(text: str) -> FieldError:
    return FieldError(
        "allowed_destinations",
        f'"{text[:200]}" is not a destination. Write an address, a network or a name with its '
        "ports, each by itself and not as a range, for example 10.20.0.0/16:25,465 or "
        "relay.acme.local:25 or [::1]:25.",
    )
