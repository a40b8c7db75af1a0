"""Who is told: a pure choice, with a reason for everyone left out."""

import uuid

import pytest

from portal.identity.models import Role
from portal.notifications.recipients import LeftOutReason, Person, choose, parse_audience
from portal.validation import Invalid


def person(address: str, role: Role = Role.MEMBER, *, verified: bool = True) -> Person:
    return Person(uuid.uuid4(), address, role, None, "UTC", verified)


ALICE = person("alice@acme.test", Role.ADMINISTRATOR)
BOB = person("bob@acme.test")
NEW = person("new@acme.test", verified=False)
PEOPLE = (ALICE, BOB, NEW)


def addresses(*audience: str) -> list[str]:
    return [chosen.address for chosen in choose(PEOPLE, audience).chosen]


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (("role:administrator",), ["alice@acme.test"]),
        (("role:member",), ["bob@acme.test"]),
        (("user:bob@acme.test",), ["bob@acme.test"]),
        (("address:eve@elsewhere.test",), ["eve@elsewhere.test"]),
        (("user:bob@acme.test", "role:administrator"), ["bob@acme.test", "alice@acme.test"]),
        ((), []),
    ],
)
def test_an_audience_becomes_addresses_in_the_order_in_which_they_are_named(
    audience: tuple[str, ...], expected: list[str]
) -> None:
    assert addresses(*audience) == expected


def test_each_person_is_told_once() -> None:
    assert addresses("role:member", "user:bob@acme.test", "address:BOB@acme.test") == [
        "bob@acme.test"
    ]


def test_people_whose_addresses_differ_in_letters_that_fold_together_are_two() -> None:
    pair = (person("straße@acme.test"), person("strasse@acme.test"))
    both = ["straße@acme.test", "strasse@acme.test"]
    assert [one.address for one in choose(pair, ["role:member"]).chosen] == both
    for address in both:
        for entry in (f"address:{address}", f"user:{address}"):
            (chosen,) = choose(pair, [entry]).chosen
            assert chosen.person is not None and chosen.person.address == address
    assert len(choose((), [f"address:{address}" for address in both]).chosen) == 2
    assert len(choose((), [f"user:{address}" for address in both]).omitted) == 2


def test_a_member_named_by_address_is_written_to_as_a_member() -> None:
    (chosen,) = choose(PEOPLE, ["address:Alice@acme.test"]).chosen
    assert (chosen.address, chosen.person) == ("alice@acme.test", ALICE)


def test_who_has_no_verified_address_is_left_out_with_the_reason() -> None:
    recipients = choose(PEOPLE, ["role:member"])
    (omitted,) = recipients.omitted
    assert (omitted.user_id, omitted.reason) == (NEW.user_id, LeftOutReason.NOT_VERIFIED)


def test_who_left_the_organization_is_left_out_and_never_written_to() -> None:
    recipients = choose(PEOPLE, ["user:gone@acme.test"])
    assert recipients.chosen == ()
    assert [one.reason for one in recipients.omitted] == [LeftOutReason.NOT_A_MEMBER]


def test_a_bare_address_is_an_address() -> None:
    assert parse_audience("to", ["Eve@ELSEWHERE.test", "role:member"]) == [
        "address:Eve@elsewhere.test",
        "role:member",
    ]


@pytest.mark.parametrize("entry", ["role:king", "group:ops", "eve", 7, None, "a@b.test\nBcc: x@y"])
def test_an_entry_that_means_nothing_is_refused_by_its_number(entry: object) -> None:
    with pytest.raises(Invalid) as refused:
        parse_audience("recipients", ["role:member", entry])
    assert [error.field for error in refused.value.errors] == ["recipients.1"]
