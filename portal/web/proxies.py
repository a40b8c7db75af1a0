"""Which Host headers are answered, and whose X-Forwarded headers count."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from portal.config import Config

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def host_is_allowed(host: str, config: Config) -> bool:
    """Whether a Host header names this portal: the base URL's host, or one that is listed."""
    name = (_parts(f"//{host}").hostname or "").rstrip(".")
    if "*" in config.allowed_hosts or name in config.allowed_hosts:
        return True
    return name == config.base_host or (config.base_host in _LOOPBACK and name in _LOOPBACK)


def origin_is_own(origin: str, host: str, config: Config) -> bool:
    """Whether an Origin header (RFC 6454) names this portal, as it was called or as it is set."""
    own = {host, urlsplit(config.base_url).netloc}
    return _parts(origin).netloc in own - {""}


def trusting(networks: tuple[str, ...], inner: Wsgi, proxy_fix: Callable[..., Wsgi]) -> Wsgi:
    """Apply X-Forwarded-For, -Proto and -Host, but only from the trusted networks."""
    if not networks:
        return inner
    trusted = [ipaddress.ip_network(network) for network in networks]
    fixed = proxy_fix(inner, x_for=1, x_proto=1, x_host=1)

    def choose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            peer = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return inner(environ, start_response)
        is_trusted = any(peer in network for network in trusted)
        return (fixed if is_trusted else inner)(environ, start_response)

    return choose


def _parts(url: str) -> SplitResult:
    """The parts of an address that somebody sent; none of what is no address at all."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts
