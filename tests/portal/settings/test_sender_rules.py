"""What a sender's values must look like, key by key and together."""

from collections.abc import Mapping
from typing import Any

import pytest

from portal.settings.sender_rules import SenderValues, parse
from portal.smtp.values import Authentication, Encryption
from portal.validation import Invalid
from tests import smtp_certificates

GOOD: Mapping[str, Any] = {
    "display_name": "Acme Alerts",
    "from_address": "alerts@acme.test",
    "server": "smtp.acme.test",
}


def parsed(*, at_host: bool = False, by_host: bool = False, **changes: Any) -> SenderValues:
    return parse({**GOOD, **changes}, base=None, at_host=at_host, by_host=by_host)


def refused(*, at_host: bool = False, by_host: bool = False, **changes: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parsed(at_host=at_host, by_host=by_host, **changes)
    return {error.field: error.message for error in caught.value.errors}


def test_a_new_sender_starts_with_starttls_on_587() -> None:
    values = parsed()

    assert (values.encryption, values.port) == (Encryption.STARTTLS, 587)
    assert values.authentication is Authentication.NONE
    assert values.verify


@pytest.mark.parametrize(("encryption", "port"), [("none", 25), ("starttls", 587), ("tls", 465)])
@pytest.mark.parametrize("empty", ["", None])
def test_a_port_that_was_not_given_is_the_usual_one(
    encryption: str, port: int, empty: str | None
) -> None:
    assert parsed(encryption=encryption, port=empty).port == port


def test_starttls_on_25_is_a_valid_pair() -> None:
    values = parsed(encryption="starttls", port="25")
    assert (values.encryption, values.port) == (Encryption.STARTTLS, 25)


@pytest.mark.parametrize("port", ["0", "65536", "-25", "25.0", "mail", "２５", True, "1e3"])
def test_a_wrong_port_is_refused_with_the_range(port: Any) -> None:
    assert refused(port=port) == {"port": "Enter a whole number from 1 to 65535."}


@pytest.mark.parametrize(
    ("typed", "server"),
    [
        ("SMTP.Acme.Test", "smtp.acme.test"),
        ("  smtp.acme.test.  ", "smtp.acme.test"),
        ("smtp://smtp.acme.test", "smtp.acme.test"),
        ("https://smtp.acme.test/", "smtp.acme.test"),
        ("relay", "relay"),
        ("mail.acme.local", "mail.acme.local"),
        ("192.0.2.10", "192.0.2.10"),
        ("[2001:db8::25]", "2001:db8::25"),
        ("2001:DB8::25", "2001:db8::25"),
        ("bücher.example", "bücher.example"),
    ],
)
def test_a_server_is_a_name_or_an_address(typed: str, server: str) -> None:
    assert parsed(server=typed).server == server


@pytest.mark.parametrize(
    "server",
    [
        "",
        " ",
        "smtp.acme.test:25",
        "a b.test",
        "a/b.test",
        "me@acme.test",
        "a..b",
        "x?y",
        "a\nb.test",
    ],
)
def test_a_server_that_is_none_is_refused_with_an_example(server: str) -> None:
    assert set(refused(server=server)) == {"server"}


def test_a_port_in_the_server_names_the_cure() -> None:
    for spelling in ("smtp://smtp.acme.test:2525", "ssl://smtp.acme.test:2525/"):
        said = refused(server=spelling)["server"]
        assert said == "Enter the server without its port: smtp.acme.test. The port is 2525."
    said = refused(server="[2001:db8::1]:465")["server"]
    assert said == "Enter the server without its port: [2001:db8::1]. The port is 465."
    for nonsense in ("fe80::1%eth0", "smtp.acme.test:smtp", "[2001:db8::1"):
        assert "Enter a server name or IP address" in refused(server=nonsense)["server"]


@pytest.mark.parametrize(
    "name",
    [
        "ceo@acme.test",
        "Boss <ceo@acme.test>",
        "Acme\r\nBcc: all@acme.test",
        "Acme\u2028Alerts",
        "Acme\u202eALERTS",
        "x" * 201,
    ],
)
def test_a_display_name_hides_no_address_and_breaks_no_line(name: str) -> None:
    assert set(refused(display_name=name)) == {"display_name"}


@pytest.mark.parametrize("field", ["from_address", "reply_to", "envelope_sender"])
@pytest.mark.parametrize(
    "address",
    ["alerts", "a@b@c.test", "a b@acme.test", "a@acme.test\nBcc: b@acme.test", "@acme.test"],
)
def test_an_address_that_is_none_is_refused(field: str, address: Any) -> None:
    assert set(refused(**{field: address})) == {field}


@pytest.mark.parametrize("address", ["a#b@acme.test", "a&b@acme.test", "a+b@acme.test", "a@relay"])
def test_odd_but_valid_from_addresses_are_taken(address: str) -> None:
    assert parsed(from_address=address).from_address == address


def test_all_wrong_fields_are_told_at_once() -> None:
    assert set(refused(server="", from_address="x", port="0")) == {
        "server",
        "from_address",
        "port",
    }


def test_the_user_name_defaults_to_the_from_address_and_takes_a_domain() -> None:
    assert parsed().login_name == "alerts@acme.test"
    assert parsed(username="svc", domain="ACME").login_name == "ACME\\svc"


def test_a_password_in_clear_needs_a_system_administrator() -> None:
    clear: dict[str, Any] = {"encryption": "none", "authentication": "password"}

    assert "ask a system administrator" in refused(**clear)["encryption"]
    assert set(refused(**clear, allow_clear_login=True)) == {"allow_clear_login"}
    assert parsed(by_host=True, **clear, allow_clear_login=True).allow_clear_login


def test_an_administrator_keeps_what_a_system_administrator_allowed() -> None:
    clear: dict[str, Any] = {"encryption": "none", "authentication": "password"}
    base = parsed(by_host=True, **clear, allow_clear_login=True)

    kept = parse({"display_name": "Other"}, base=base, at_host=False, by_host=False)

    assert kept.allow_clear_login


@pytest.mark.parametrize(("at_host", "by_host"), [(False, False), (False, True), (True, False)])
def test_verification_is_switched_off_for_host_senders_by_the_host_alone(
    at_host: bool, by_host: bool
) -> None:
    assert set(refused(at_host=at_host, by_host=by_host, verify=False)) == {"verify"}
    assert not parsed(at_host=True, by_host=True, verify=False).verify


def test_a_pasted_authority_is_kept_and_what_is_none_is_refused() -> None:
    pem = smtp_certificates.authority_pem()
    assert parsed(ca=f"Our CA:\n{pem}").ca == pem.strip() + "\n"

    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    assert "private key" in refused(ca=key)["ca"]
    assert set(refused(ca="hello")) == {"ca"}
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert set(refused(ca=broken)) == {"ca"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("connect_timeout", "0"),
        ("connect_timeout", ""),
        ("command_timeout", "601"),
        ("per_minute", "-1"),
        ("per_day", "many"),
        ("connections", "0"),
        ("messages_per_connection", "0"),
        ("ehlo_name", "two words"),
        ("encryption", "ssl"),
    ],
)
def test_a_limit_out_of_range_names_its_field(field: str, value: Any) -> None:
    assert set(refused(**{field: value})) == {field}
