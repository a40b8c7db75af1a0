"""How a network address may be spelled, and which addresses lie on the public internet.

The resolver of the operating system reads `2130706433`, `0x7f.1` and `127.1` as 127.0.0.1, and
Unicode digits as digits. What is read here has one meaning only; everything else is refused.
"""

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address

import idna

Address = IPv4Address | IPv6Address


class OddSpelling(ValueError):
    """Neither an IP address in its usual form nor a plain host name."""


def read_host(host: str) -> Address | str:
    """The address, or the host name in lower case with IDN labels as A-labels (RFC 5890).

    Raises OddSpelling for brackets, zone ids, trailing dots, white space, numbers in place of
    names, digits of other scripts and everything else that a resolver might reinterpret.
    """
    if not host or len(host) > 253 or any(c in host for c in "%[]/\\@?#") or _has_blank(host):
        raise OddSpelling(host)
    if ":" in host:
        return _ipv6(host)
    name = _a_labels(host)
    if _ends_in_a_number(name):
        return _ipv4(host)
    return _checked(name)


def ascii_domain(domain: str) -> str:
    """The domain of an email address in lower case, IDN labels as A-labels. Raises OddSpelling."""
    if len(domain) > 253:
        raise OddSpelling(domain)
    return _checked(_a_labels(domain))


def with_port(host: str, port: int) -> str:
    """`mail.example.com:25`, `192.0.2.1:25`, `[2001:db8::1]:25` (RFC 3986, 3.2.2)."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """The host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary one of the public internet.

    Stricter than `ipaddress.is_global`, which is true for fec0::1, ff02::1, 2002:7f00:1:: and
    64:ff9b::7f00:1. IPv6 forms that carry an IPv4 address inside are never public.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    if address.scope_id is not None or address not in _GLOBAL_UNICAST:
        return False
    return not _is_isatap(address) and not any(address in network for network in _SPECIAL_IPV6)


_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# IANA's special-purpose registry, and the platform address of Azure, which is a public one.
_SPECIAL_IPV4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Outside of 2000::/3 nothing is public: ::1, mapped, compatible, 64:ff9b::, fc00::, fe80::,
# fec0::, ff00:: and all that is not assigned.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL_IPV6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; holds Teredo, benchmarking and ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
        "3ffe::/16",
    )
)


def _is_isatap(address: IPv6Address) -> bool:
    # RFC 5214: the interface identifier is 0000:5efe or 0200:5efe, then an IPv4 address.
    return (int(address) >> 32) & 0xFFFFFFFF in (0x00005EFE, 0x02005EFE)


def _has_blank(host: str) -> bool:
    return any(c.isspace() or not c.isprintable() for c in host)


def _ipv6(host: str) -> IPv6Address:
    try:
        return IPv6Address(host)
    except ValueError:
        raise OddSpelling(host) from None


def _ipv4(host: str) -> IPv4Address:
    try:
        return IPv4Address(host)  # refuses leading zeros, short forms and other digits
    except ValueError:
        raise OddSpelling(host) from None


def _checked(name: str) -> str:
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise OddSpelling(name)
    return name


def _a_labels(host: str) -> str:
    try:
        # IDNA 2008 label by label: unlike Python's own codec it maps nothing, so that full-width
        # digits and ideographic full stops are refused instead of being turned into ASCII.
        return ".".join(_a_label(label) for label in host.split("."))
    except UnicodeError:
        raise OddSpelling(host) from None


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    folded = label.lower()
    if folded.isascii():  # a Kelvin sign in lower case is a plain k
        raise OddSpelling(label)
    return idna.alabel(folded).decode("ascii")


def _ends_in_a_number(name: str) -> bool:
    return _NUMBER.fullmatch(name.rsplit(".", 1)[-1]) is not None
