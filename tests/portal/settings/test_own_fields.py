"""Which From addresses a sender keeps for another one."""

from typing import Any

import pytest

from portal.settings import own_fields
from portal.settings.models import Sender
from portal.validation import Invalid


def parsed(*entries: str) -> Any:
    return own_fields.parse({"allowed_from": list(entries)}, at_host=False)["allowed_from"]


def test_addresses_and_domains_have_one_spelling_and_stand_once() -> None:
    assert parsed(
        " alerts@GLOBEX.test ", "alerts@globex.test", "Ops.Globex.test", "@globex.test"
    ) == [
        "alerts@globex.test",
        "@ops.globex.test",
        "@globex.test",
    ]
    assert parsed() == []
    assert "allowed_from" not in own_fields.parse({}, at_host=False)


@pytest.mark.parametrize(
    "wrong",
    ["", "@", "a b", "a@", "@a@b.test", "a@b.test\r\nBcc: c@d.test", "*.globex.test", "x" * 300],
)
def test_what_is_neither_is_refused_by_its_own_words(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed("alerts@globex.test", wrong)
    assert "neither an address nor a domain" in refused.value.errors[0].message


@pytest.mark.parametrize("wrong", ["alerts@globex.test", [7], {"a": "b"}])
def test_only_a_list_of_texts_is_taken(wrong: object) -> None:
    with pytest.raises(Invalid):
        own_fields.parse({"allowed_from": wrong}, at_host=False)


def test_only_the_hosts_senders_carry_security_mail() -> None:
    given = {"kinds": ["alert", "security", "security.invitation"]}
    found = own_fields.parse(given, at_host=True)["kinds"]
    assert found == ["security", "alert", "security.invitation"]
    with pytest.raises(Invalid) as refused:
        own_fields.parse(given, at_host=False)
    (error,) = refused.value.errors
    assert error.field == "kinds"
    assert error.message.startswith("Leave out security: security mail always goes by")


def test_more_than_a_hundred_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 100"):
        parsed(*(f"a{number}@globex.test" for number in range(101)))


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("alerts@globex.test", True),
        ("Alerts@globex.test", True),
        ("anyone@ops.globex.test", True),
        ("other@globex.test", False),
        ("x@deeper.ops.globex.test", False),
        ("x@notops.globex.test", False),
        ("\u7528\u6237@ops.globex.test", False),
    ],
)
def test_an_address_is_kept_by_itself_or_by_its_very_domain(address: str, kept: bool) -> None:
    sender = Sender(allowed_from=["alerts@globex.test", "@ops.globex.test"])
    assert own_fields.may_bear(sender, address) is kept
