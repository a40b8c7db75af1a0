"""OAuth2 senders and kinds over the API: what is taken, what is shown, what needs the secret."""

from typing import Any

import pytest

from tests.portal.smtp.oauth2_setting import private_pem
from tests.portal.web.api.calling import System, done, refused

CLIENT = {
    "name": "m365",
    "display_name": "Acme Alerts",
    "from_address": "alerts@acme.test",
    "server": "smtp.acme.test",
    "authentication": "oauth2_client_credentials",
    "client_id": "portal",
    "client_secret": "client canary",
    "client_secret_expires_at": "2027-05-31",
    "token_url": "https://login.test/t/token",
}
REFRESH = CLIENT | {
    "authentication": "oauth2_refresh_token",
    "refresh_token": "refresh canary",
    "scope": "mail",
}
GRANTS: dict[str, dict[str, Any]] = {
    "client": CLIENT,
    "refresh": REFRESH,
    "service": {key: value for key, value in CLIENT.items() if key != "client_secret"}
    | {"authentication": "oauth2_service_account", "private_key": private_pem()},
}
CHANGES: list[dict[str, Any]] = [
    {"server": "smtp.evil.test"},
    {"port": 2587},
    {"encryption": "tls"},
    {"username": "other@acme.test"},
    {"from_address": "x@acme.test"},
    {"token_url": "https://evil.test/t/token"},
    {"client_id": "another"},
    {"scope": "everything"},
]


@pytest.mark.parametrize("grant", GRANTS)
def test_a_grant_is_taken_and_its_secret_never_shown(acme: System, grant: str) -> None:
    answer = acme.post("/senders", GRANTS[grant])
    made = done(answer, 201)
    assert (made["client_id"], made["token_url"]) == ("portal", CLIENT["token_url"])
    assert made["client_secret_expires_at"] == "2027-05-31T00:00:00.000000Z"
    assert made["secret_set"] is True
    for text in (answer.text, acme.get("/senders").text):
        assert "canary" not in text and "PRIVATE KEY" not in text
    assert not {"client_secret", "private_key", "refresh_token", "password"} & set(made)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("grant", GRANTS)
def test_another_destination_needs_the_secret_again(
    acme: System, grant: str, change: dict[str, Any]
) -> None:
    before = done(acme.post("/senders", GRANTS[grant]), 201)
    tested = acme.post("/senders/m365/test", change | {"to": "a@acme.test"})
    fields = {"client": {"/client_secret"}, "service": {"/private_key"}}
    wanted = fields.get(grant, {"/client_secret", "/refresh_token"})
    for answer in (acme.patch("/senders/m365", change), tested):
        assert set(refused(answer)) == wanted
        assert "canary" not in answer.text
    assert done(acme.get("/senders/m365")) == before


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"client_id": None}, "/client_id"),
        ({"token_url": "http://login.test/token"}, "/token_url"),
        ({"token_url": 7}, "/token_url"),
        ({"domain": "ACME"}, "/domain"),
        ({"client_secret": None}, "/client_secret"),
        ({"private_key": "x"}, "/private_key"),
        ({"refresh_token": "x"}, "/refresh_token"),
        ({"client_secret_file": "x"}, "/client_secret_file"),
        ({"refresh_token_file": "x"}, "/refresh_token_file"),
        ({"client_secret_expires_at": "soon"}, "/client_secret_expires_at"),
        ({"kinds": "alert"}, "/kinds"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(
    acme: System, wrong: dict[str, Any], pointer: str
) -> None:
    answer = acme.post("/senders", CLIENT | wrong)
    assert pointer in refused(answer), answer.text
    assert "canary" not in answer.text


def test_a_client_secret_that_is_null_makes_a_public_client(acme: System) -> None:
    done(acme.post("/senders", REFRESH), 201)
    changed = done(acme.patch("/senders/m365", {"client_secret": None}))
    assert changed["secret_set"]
    assert "/refresh_token" in refused(acme.patch("/senders/m365", {"refresh_token": None}))


def test_kinds_are_kept_in_one_order_and_need_no_test(host: System) -> None:
    done(host.post("/senders", CLIENT | {"active": True}), 201)
    given = ["alert.raised", "approval", "alert.raised"]
    changed = done(host.patch("/senders/m365", {"kinds": given}))
    assert (changed["kinds"], changed["active"]) == (["approval", "alert.raised"], True)
    assert done(host.patch("/senders/m365", {"kinds": None}))["kinds"] == []
