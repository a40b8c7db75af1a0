"""The address that pages are served at: found, bound once, and told in one line if taken."""

import errno
import http.client
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from portal.address_spelling import with_port
from portal.cli.failures import Failed

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Who listens on all addresses is reached at this one.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_BACKLOG = 2048
_PROBE_SECONDS = 1.0


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{with_port(self.host, self.port)}"


_USUAL = Address("127.0.0.1", 8000)


def chosen(base_url: str, *, host: str | None, port: int | None) -> Address:
    """Where to listen: what was asked for, else the base URL's place when it is on this machine."""
    parts = urlsplit(base_url)
    is_here = parts.scheme == "http" and parts.hostname in _LOOPBACK
    default = Address(parts.hostname or "", parts.port or 80) if is_here else _USUAL
    return Address(host or default.host, default.port if port is None else port)


def reached_at(base_url: str, address: Address) -> str:
    """The base URL of links: the configured one; where none is configured, where we listen."""
    if base_url != _USUAL.url:
        return base_url
    return Address(_HERE.get(address.host, address.host), address.port).url


def bind(address: Address, *, command: str) -> socket.socket:
    """A bound socket that children inherit, so that the port stays ours while they restart.

    Raises Failed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A connection that ended a minute ago must not keep the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        # Only a listening socket keeps others from binding the same port.
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        raise Failed(_why_not(address, problem, command)) from None
    listener.set_inheritable(True)
    return listener


def bound_address(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def is_ready(address: Address) -> bool:
    """Whether the portal at this address says that it can accept and store."""
    host = _HERE.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _why_not(address: Address, problem: OSError, command: str) -> str:
    place = with_port(address.host, address.port)
    if problem.errno == errno.EADDRINUSE:
        return (
            f"Port {address.port} on {address.host} is taken by another program. "
            f"Stop that program, or choose another port: {command} --port {address.port + 1}"
        )
    if problem.errno == errno.EACCES:
        return (
            f"{place} may not be used by this user; ports below 1024 belong to root. "
            f"Choose another port: {command} --port 8000"
        )
    return (
        f"{place} is not an address of this machine. Choose another one: {command} --host 127.0.0.1"
    )
