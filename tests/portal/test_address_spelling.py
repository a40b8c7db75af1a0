import re
from pathlib import Path

import pytest

from portal.address_spelling import with_port
from portal.destinations import AllowedDestinations, Forbidden, OrganizationGuard
from tests.portal.resolvers import PUBLIC, PUBLIC_6, answering, failing

NOTHING_OPENED = AllowedDestinations()


def reason_of(host: str, *, answers: tuple[str, ...] = (PUBLIC,)) -> str:
    with pytest.raises(Forbidden) as caught:
        OrganizationGuard(NOTHING_OPENED, answering(*answers)).addresses(host, 587)
    return caught.value.reason


INSIDE_IPV4 = [
    "0.0.0.0",
    "0.1.2.3",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.254",
    "127.0.0.1",
    "127.0.0.53",
    "127.1.2.3",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.0.23",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]

INSIDE_IPV6 = [
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::7f00:1",
    "::93.184.215.14",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.215.14",
    "::ffff:7f00:1",
    "::ffff:0:127.0.0.1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "0:0:0:0:0:ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::5db8:d70e",
    "64:ff9b:1::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:7f00:1:8000::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2001:DB8::1",
    "2002:7f00:1::",
    "2002:7f00:0001::1",
    "2002:a00:1::",
    "2002:c0a8:101::",
    "2002:5db8:d70e::",
    "2620:4f:8000::1",
    "3fff::1",
    "3ffe::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff01::1",
    "ff02::1",
    "ff0e::1",
    "2606:2800:21f:cb07:0:5efe:7f00:1",
    "2606:2800:21f:cb07:0:5efe:127.0.0.1",
    "2606:2800:21f:cb07:200:5efe:a00:1",
]

ODD_SPELLINGS = [
    "2130706433",  # 127.0.0.1 as one number
    "0",
    "1",
    "3232235777",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "127.0.0.01",
    "127.0.00.1",
    "010.0.0.1",
    "08.8.8.8",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "127.0.0.0x1",
    "0x",
    "foo.0x7f",
    "0xa9fea9fe",
    "127.1",
    "127.0.1",
    "10.1",
    "1.2.3.4.5",
    "256.1.1.1",
    "1.2.3.999",
    "mail.example.123",
    "127.0.0.1.",
    "127.0.0.1..",
    "mail.example.com.",
    "localhost.",
    ".",
    ".mail.example.com",
    "mail..example.com",
    "-mail.example.com",
    "mail-.example.com",
    "\uff11\uff12\uff17.0.0.1",  # full-width digits
    "127.0.0.\uff11",
    "127\u30020\u30020\u30021",  # ideographic full stops
    "127\uff0e0\uff0e0\uff0e1",  # full-width full stops
    "127\uff610\uff610\uff611",  # half-width ideographic full stops
    "\uff10x7f000001",
    "①②⑦.0.0.1",
    "¹²⁷.0.0.1",
    "١٢٧.0.0.1",  # Arabic digits
    "mail\u3002example\u3002com",
    "mail\uff0eexample\uff0ecom",
    "m\uff41il.example.com",
    "\u212aelvin.example.com",
    "\ud800.example.com",
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",
    "ⓛocalhost",
    "loca\u200blhost",
    "loc\u00adalhost",
    "[127.0.0.1]",
    "[::1]",
    "[::1",
    "::1]",
    "[fe80::1%25eth0]",
    "::1%lo",
    "fe80::1%eth0",
    "fe80::1%1",
    "127.0.0.1%0",
    "::ffff:0177.0.0.1",
    "::ffff:0x7f.0.0.1",
    "1::2::3",
    ":1",
    "1:2:3",
    "12345::1",
    "::g",
    "127.0.0.1:25",
    "mail.example.com:25",
    "http://mail.example.com",
    "//mail.example.com",
    "mail.example.com/",
    "mail.example.com?x",
    "mail.example.com#x",
    "user@mail.example.com",
    "mail.example.com\\@evil.example",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1\t",
    "127.0.0.1\n",
    "127.0.0.1 evil.example",
    "127.0.0.1\x00",
    "127.0.0.1\x00.example.com",
    "mail\r\n.example.com",
    "\u3000127.0.0.1",
    "",
    " ",
    "a" * 64 + ".example.com",
    ".".join(["abcdefgh"] * 30),
    "mail,example,com",
    "mail;example",
    "mail$example",
    "(127.0.0.1)",
    '"127.0.0.1"',
    "%31%32%37.0.0.1",
    "127%2e0.0.1",
    "\u202e1.0.0.721",
]


@pytest.mark.parametrize("address", INSIDE_IPV4 + INSIDE_IPV6)
def test_an_inside_address_typed_by_an_organization_is_forbidden(address: str) -> None:
    assert reason_of(address) == "address"


@pytest.mark.parametrize("address", INSIDE_IPV4 + INSIDE_IPV6)
def test_a_name_with_an_inside_address_is_forbidden(address: str) -> None:
    assert reason_of("mail.example.com", answers=(address,)) == "address"


@pytest.mark.parametrize("host", ODD_SPELLINGS)
def test_an_odd_spelling_is_forbidden_before_any_look_up(host: str) -> None:
    asked: list[str] = []

    def resolver(name: str, port: int) -> list[str]:
        asked.append(name)
        return [PUBLIC]

    with pytest.raises(Forbidden) as caught:
        OrganizationGuard(NOTHING_OPENED, resolver).addresses(host, 587)
    assert (caught.value.reason, asked) == ("spelling", [])


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("mail.example.com", 25),
        ("MAIL.Example.COM", 587),
        ("smtp", 465),
        ("relay.acme.local", 25),
        ("mail_out.example.com", 2525),
        ("1and1.example", 587),
        ("0x7f.example.com", 587),
        ("smtp.163.com", 994),
        ("email-smtp.eu-west-1.amazonaws.com", 2465),
        ("resend.example", 2587),
        ("qiye.example", 80),
    ],
)
def test_a_plain_name_with_public_addresses_is_allowed(host: str, port: int) -> None:
    guard = OrganizationGuard(NOTHING_OPENED, answering(PUBLIC, PUBLIC_6))

    assert guard.addresses(host, port) == (PUBLIC, PUBLIC_6)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (PUBLIC, PUBLIC),
        ("1.1.1.1", "1.1.1.1"),
        ("100.63.255.255", "100.63.255.255"),
        ("172.32.0.1", "172.32.0.1"),
        (PUBLIC_6, PUBLIC_6),
        ("2606:4700:4700:0:0:0:0:1111", "2606:4700:4700::1111"),
    ],
)
def test_a_public_address_is_allowed_without_a_look_up(typed: str, address: str) -> None:
    guard = OrganizationGuard(NOTHING_OPENED, failing(AssertionError()))

    assert guard.addresses(typed, 587) == (address,)


def test_an_international_name_is_looked_up_by_its_a_labels() -> None:
    asked: list[str] = []

    def resolver(name: str, port: int) -> list[str]:
        asked.append(name)
        return [PUBLIC]

    OrganizationGuard(NOTHING_OPENED, resolver).addresses("smtp.Bücher.example", 587)

    assert asked == ["smtp.xn--bcher-kva.example"]


def test_there_are_enough_spellings_in_the_table() -> None:
    assert len(set(INSIDE_IPV4 + INSIDE_IPV6 + ODD_SPELLINGS)) >= 120


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("smtp.acme.test", "smtp.acme.test:25"),
        ("192.0.2.1", "192.0.2.1:25"),
        ("::1", "[::1]:25"),
        ("2001:db8::1", "[2001:db8::1]:25"),
    ],
)
def test_an_ipv6_address_stands_in_brackets_before_its_port(host: str, shown: str) -> None:
    assert with_port(host, 25) == shown


def test_no_server_is_shown_beside_its_port_but_with_brackets() -> None:
    root = Path(__file__).parents[2]
    pasted = re.compile(r"(?<!bracketed_)(?:server|host) ?\}+:\{|server=\w+\.server, port=")
    found = [*root.glob("portal/**/*.py"), *root.glob("templates/**/*")]
    sources = [path for path in found if path.is_file()]
    assert [str(path) for path in sources if pasted.search(path.read_text("utf-8"))] == []
