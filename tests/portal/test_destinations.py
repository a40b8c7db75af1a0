import socket
import threading

import pytest

from portal.destinations import (
    AllowedDestinations,
    Forbidden,
    HostGuard,
    NameNotFound,
    OrganizationGuard,
)
from portal.validation import Invalid
from tests.portal.resolvers import PUBLIC, PUBLIC_6, answering, failing

NOTHING_OPENED = AllowedDestinations()


def reason_of(host: str, port: int = 587, *, answers: tuple[str, ...] = (PUBLIC,)) -> str:
    with pytest.raises(Forbidden) as caught:
        OrganizationGuard(NOTHING_OPENED, answering(*answers)).addresses(host, port)
    return caught.value.reason


@pytest.mark.parametrize("port", [0, 1, 22, 53, 110, 443, 993, 3306, 5432, 6379, 8080, 65536, -1])
def test_a_port_outside_of_the_list_is_forbidden(port: int) -> None:
    assert reason_of("mail.example.com", port) == "port"


def test_another_use_brings_its_own_ports() -> None:
    guard = OrganizationGuard(NOTHING_OPENED, answering(PUBLIC), ports=frozenset({443}))

    assert guard.addresses("hooks.example.com", 443) == (PUBLIC,)
    with pytest.raises(Forbidden):
        guard.addresses("hooks.example.com", 587)


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "mail.localhost"])
def test_localhost_is_forbidden_whatever_it_resolves_to(name: str) -> None:
    assert reason_of(name) == "address"


def test_localhost_is_what_was_opened_of_this_machine() -> None:
    opened = AllowedDestinations.parse(["127.0.0.0/8:2525"])
    for name in ("localhost", "mail.localhost"):
        guard = OrganizationGuard(opened, answering("::1", "127.0.0.1", PUBLIC))
        assert guard.addresses(name, 2525) == ("127.0.0.1",)
        for port in (25, 2525):
            guard = OrganizationGuard(opened, answering("::1", PUBLIC))
            with pytest.raises(Forbidden) as caught:
                guard.addresses(name, port)
            assert caught.value.reason == "address"


@pytest.mark.parametrize(
    "answers", [(PUBLIC, "10.0.0.5"), ("::1", PUBLIC), (PUBLIC, PUBLIC_6, "fe80::1%eth0")]
)
def test_one_bad_address_forbids_the_whole_name(answers: tuple[str, ...]) -> None:
    assert reason_of("mail.example.com", answers=answers) == "address"


def test_an_answer_that_is_no_address_is_forbidden() -> None:
    assert reason_of("mail.example.com", answers=("not an address",)) == "address"


def test_a_name_that_changes_its_answer_is_asked_once_and_the_checked_address_is_used() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    guard = OrganizationGuard(NOTHING_OPENED, lambda host, port: answers.pop(0))

    assert guard.addresses("rebind.example.com", 587) == (PUBLIC,)
    assert answers == [["127.0.0.1"]]


def test_doubled_answers_are_tried_once() -> None:
    guard = OrganizationGuard(NOTHING_OPENED, answering(PUBLIC, PUBLIC_6, PUBLIC))

    assert guard.addresses("mail.example.com", 587) == (PUBLIC, PUBLIC_6)


@pytest.mark.parametrize(
    ("entry", "host", "port", "answers"),
    [
        ("127.0.0.1:2525", "127.0.0.1", 2525, ()),
        ("127.0.0.1:2525", "mail.example.com", 2525, ("127.0.0.1",)),
        ("127.0.0.1:12345", "127.0.0.1", 12345, ()),
        ("10.20.0.0/16:25,465,587", "10.20.30.40", 465, ()),
        ("10.20.0.0/16:25, 465, 587", "10.20.30.40", 587, ()),
        ("10.20.0.0/16:25", "relay.corp", 25, ("10.20.0.9", "93.184.215.14")),
        ("[::1]:25", "::1", 25, ()),
        ("[fd00::/8]:587", "fd12::9", 587, ()),
        ("[fd00::]/8:587", "fd12::9", 587, ()),
        ("relay.acme.local:25", "relay.acme.local", 25, ("192.168.3.4", "fd00::7")),
        ("Relay.Acme.LOCAL:2626", "RELAY.acme.local", 2626, ("127.0.0.1",)),
        ("localhost:1025", "localhost", 1025, ("127.0.0.1",)),
        ("  relay.acme.local:25 ", "relay.acme.local", 25, ("10.0.0.1",)),
    ],
)
def test_an_opened_destination_may_be_connected_to(
    entry: str, host: str, port: int, answers: tuple[str, ...]
) -> None:
    guard = OrganizationGuard(AllowedDestinations.parse([entry]), answering(*answers))

    assert guard.addresses(host, port) == (answers or (host,))


@pytest.mark.parametrize(
    ("entry", "host", "port", "answers", "reason"),
    [
        ("127.0.0.1:2525", "127.0.0.1", 25, (), "address"),
        ("127.0.0.1:2525", "127.0.0.2", 2525, (), "address"),
        ("127.0.0.1:2525", "::ffff:127.0.0.1", 2525, (), "address"),
        ("127.0.0.1:2525", "2130706433", 2525, (), "spelling"),
        ("127.0.0.1:2525", "mail.example.com", 2525, ("127.0.0.1", "127.0.0.2"), "address"),
        ("127.0.0.1:12345", PUBLIC, 12345, (), "port"),
        ("127.0.0.1:12345", "mail.example.com", 12345, (PUBLIC,), "port"),
        ("10.20.0.0/16:25", "10.21.0.1", 25, (), "address"),
        ("relay.acme.local:25", "relay.acme.local", 587, ("10.0.0.1",), "address"),
        ("relay.acme.local:25", "x.relay.acme.local", 25, ("10.0.0.1",), "address"),
        ("relay.acme.local:25", "10.0.0.1", 25, (), "address"),
        ("relay.acme.local:25", "relay.acme.local.", 25, ("10.0.0.1",), "spelling"),
    ],
)
def test_an_entry_opens_nothing_but_itself(
    entry: str, host: str, port: int, answers: tuple[str, ...], reason: str
) -> None:
    guard = OrganizationGuard(AllowedDestinations.parse([entry]), answering(*answers))

    with pytest.raises(Forbidden) as caught:
        guard.addresses(host, port)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:25,",
        "127.0.0.1:25-30",
        "127.0.0.1:smtp",
        "127.0.0.1:٢٥",
        "127.1:25",
        "0x7f000001:25",
        "2130706433:25",
        "10.20.0.1/16:25",
        "10.20.0.0/33:25",
        "relay.acme.local/24:25",
        "relay acme:25",
        "relay.acme.local.:25",
        "*.acme.local:25",
        "::1:25",
        "[::1]",
        "[::1%lo]:25",
        "[fd00::1]/8:25",
        "[fd00::/8]/8:25",
        "[127.0.0.1]:25",
        "[relay.acme.local]:25",
        "http://relay.acme.local:25",
    ],
)
def test_a_wrong_entry_is_named_with_the_cure(entry: str) -> None:
    with pytest.raises(Invalid) as caught:
        AllowedDestinations.parse(["127.0.0.1:25", entry])

    (error,) = caught.value.errors
    assert error.field == "allowed_destinations"
    assert f'"{entry}"' in error.message
    assert "for example 10.20.0.0/16:25,465" in error.message
    assert "each by itself and not as a range" in error.message


def test_every_wrong_entry_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        AllowedDestinations.parse(["one", "127.0.0.1:25", "two"])

    assert len(caught.value.errors) == 2


@pytest.mark.parametrize(
    ("problem", "temporary"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (socket.gaierror(socket.EAI_NODATA, "No address associated"), False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"), True),
        (OSError("too many open files"), True),
        (UnicodeError("label too long"), False),
    ],
)
@pytest.mark.parametrize("organization", [True, False])
def test_a_failed_look_up_tells_whether_to_ask_again(
    problem: Exception, temporary: bool, organization: bool
) -> None:
    resolver = failing(problem)
    guard = OrganizationGuard(NOTHING_OPENED, resolver) if organization else HostGuard(resolver)

    with pytest.raises(NameNotFound) as caught:
        guard.addresses("nowhere.example.com", 587)
    assert (caught.value.host, caught.value.temporary) == ("nowhere.example.com", temporary)


def test_an_empty_answer_is_a_name_that_was_not_found() -> None:
    with pytest.raises(NameNotFound) as caught:
        HostGuard(answering()).addresses("nowhere.example.com", 587)
    assert not caught.value.temporary


def test_a_look_up_without_end_is_given_up_and_may_be_tried_again() -> None:
    release = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        release.wait()
        return [PUBLIC]

    guard = OrganizationGuard(NOTHING_OPENED, resolver, look_up_seconds=0.01)
    with pytest.raises(NameNotFound) as caught:
        guard.addresses("slow.example.com", 587)
    release.set()
    assert caught.value.temporary


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1"])
def test_host_senders_may_go_anywhere(address: str) -> None:
    assert HostGuard(failing(AssertionError())).addresses(address, 12345) == (address,)
    assert HostGuard(answering(address)).addresses("relay.corp", 12345) == (address,)


def test_the_systems_own_resolver_finds_this_machine() -> None:
    assert "127.0.0.1" in HostGuard().addresses("localhost", 25)
