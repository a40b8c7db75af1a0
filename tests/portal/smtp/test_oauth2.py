"""Access tokens from a real token endpoint: each grant, how long they are kept, each refusal."""

import json
import threading
from dataclasses import replace

import pytest

from portal import clock
from portal.smtp import oauth2_grants
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import diagnose
from portal.smtp.oauth2 import forget
from portal.smtp.oauth2_grants import Incomplete
from portal.smtp.values import Authentication, Phase
from tests.portal.smtp.oauth2_setting import (
    ACCOUNT,
    CLIENT,
    CLIENTS,
    SECRET,
    by_refresh_token,
    by_service_account,
    guard_for,
    private_key,
    private_pem,
    refusal_of,
    sender,
    token_of,
)
from tests.smtp_client import USER
from tests.token_server import JWT_BEARER, TokenServer, decoded, refusal


def test_client_credentials_get_a_token():
    with TokenServer(clients=CLIENTS) as tokens:
        assert token_of(sender(tokens), tokens) in tokens.live
        assert tokens.requests == [
            {
                "grant_type": "client_credentials",
                "client_id": CLIENT,
                "client_secret": SECRET,
                "scope": "https://outlook.office365.com/.default",
            }
        ]
        (head,) = tokens.heads
    assert head.startswith("POST /tenant/token?v=2 HTTP/1.1\n")
    assert f"Host: smtp.acme.test:{tokens.port}\n" in head


def test_the_scope_can_be_chosen():
    with TokenServer(clients=CLIENTS) as tokens:
        token_of(sender(tokens, scope="https://outlook.office.com/.default"), tokens)
        assert tokens.requests[0]["scope"] == "https://outlook.office.com/.default"


def test_a_service_account_signs_for_the_mailbox():
    with TokenServer(accounts={ACCOUNT: private_key().public_key()}) as tokens:
        assert token_of(by_service_account(tokens), tokens) in tokens.live
        (form,) = tokens.requests
        claims = json.loads(decoded(form["assertion"].split(".")[1]))
        assert form["grant_type"] == JWT_BEARER
        assert claims["exp"] - claims.pop("iat") == 3600
        assert claims | {"exp": None} == {
            "iss": ACCOUNT,
            "sub": USER,
            "scope": "https://mail.google.com/",
            "aud": tokens.url,
            "exp": None,
        }


def test_a_key_file_of_google_may_be_given_whole():
    file = {"client_email": ACCOUNT, "private_key": private_pem(), "private_key_id": "k1"}
    with TokenServer(accounts={ACCOUNT: private_key().public_key()}) as tokens:
        bundle = by_service_account(tokens, client_id=None, secret=json.dumps(file))
        assert token_of(bundle, tokens) in tokens.live
        header = tokens.requests[0]["assertion"].split(".")[0]
    assert json.loads(decoded(header)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}


def test_a_refresh_token_gets_a_token():
    with TokenServer(clients=CLIENTS, refresh_tokens=["refresh-token-0"]) as tokens:
        assert token_of(by_refresh_token(tokens, scope="SMTP.Send"), tokens) in tokens.live
        (form,) = tokens.requests
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "refresh-token-0")
    assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
    assert form["scope"] == "SMTP.Send"


def test_a_public_client_has_no_secret():
    with TokenServer(clients={CLIENT: ""}, refresh_tokens=["refresh-token-0"]) as tokens:
        assert token_of(by_refresh_token(tokens, secret=None), tokens) in tokens.live
        assert {"client_secret", "scope"}.isdisjoint(tokens.requests[0])


def test_a_token_is_kept_while_it_lasts_and_renewed_before_it_expires(monkeypatch):
    real, ahead = clock.monotonic, 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead)
    with TokenServer(clients=CLIENTS, expires_in=3600) as tokens:
        first = token_of(sender(tokens), tokens)
        ahead = 3600 - 300 - 10
        assert token_of(sender(tokens), tokens) == first
        ahead = 3600 - 300 + 1
        assert token_of(sender(tokens), tokens) != first
        assert len(tokens.requests) == 2


@pytest.mark.parametrize(
    ("told", "kept"),
    [(None, True), ("3600", True), (0, False), (True, True), ("soon", True), (-5, True)],
)
def test_a_life_that_is_odd_is_taken_for_a_short_one(told, kept):
    with TokenServer(clients=CLIENTS, expires_in=told) as tokens:
        again = token_of(sender(tokens), tokens) == token_of(sender(tokens), tokens)
    assert again is kept


def test_a_token_that_a_server_refused_is_fetched_anew():
    with TokenServer(clients=CLIENTS) as tokens:
        first = token_of(sender(tokens), tokens)
        forget(sender(tokens), "an older one")
        assert token_of(sender(tokens), tokens) == first
        forget(sender(tokens), first)
        assert token_of(sender(tokens), tokens) != first


OTHERS = {
    "owner": "an organization",
    "server": "smtp.globex.test",
    "port": 2525,
    "username": "ceo@acme.test",
    "scope": "https://outlook.office.com/.default",
    "verify": False,
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_token_is_never_used_by_another_sender(name):
    with TokenServer(clients=CLIENTS) as tokens:
        first = token_of(sender(tokens), tokens)
        assert token_of(sender(tokens, **{name: OTHERS[name]}), tokens) != first


def test_a_sender_with_another_secret_gets_no_token_that_is_kept():
    with TokenServer(clients=CLIENTS) as tokens:
        token_of(sender(tokens), tokens)
        failure = refusal_of(sender(tokens, secret="wrong"), guard_for(tokens.port))
    assert failure.cause == Cause.TOKEN_REFUSED


def test_sessions_that_open_at_once_ask_once():
    with TokenServer(clients=CLIENTS) as tokens:
        had: list[str] = []
        ask = [
            threading.Thread(target=lambda: had.append(token_of(sender(tokens), tokens)))
            for _ in range(8)
        ]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join(10)
        assert len(had) == 8
        assert len(set(had)) == len(tokens.requests) == 1


def test_a_new_refresh_token_is_handed_back_and_used_from_then_on():
    stored: list[str] = []
    with TokenServer(
        clients=CLIENTS, refresh_tokens=["refresh-token-0"], rotate=True, expires_in=0
    ) as tokens:
        for _ in range(3):  # the caller has not stored it yet
            token_of(by_refresh_token(tokens), tokens, rotated=stored.append)
        assert stored == ["refresh-token-1", "refresh-token-2", "refresh-token-3"]
        token_of(by_refresh_token(tokens, refresh_token=stored[-1]), tokens)
        assert [form["refresh_token"] for form in tokens.requests] == [
            "refresh-token-0",
            *stored,
        ]


def test_storing_the_new_refresh_token_keeps_the_access_token():
    stored: list[str] = []
    with TokenServer(clients=CLIENTS, refresh_tokens=["refresh-token-0"], rotate=True) as tokens:
        first = token_of(by_refresh_token(tokens), tokens, rotated=stored.append)
        renewed = by_refresh_token(tokens, refresh_token=stored[0])
        assert token_of(renewed, tokens, rotated=stored.append) == first
    assert stored == ["refresh-token-1"]


REFUSALS = {
    "a wrong secret": (
        refusal("invalid_client", "AADSTS7000215: Invalid client secret provided."),
        "client secret is wrong",
    ),
    "an expired secret": (
        refusal("invalid_client", "AADSTS7000222: The provided client secret keys are expired."),
        "client secret has expired",
    ),
    "an unknown client": (
        refusal("unauthorized_client", "AADSTS700016: Application was not found.", status=400),
        "does not know this client id",
    ),
    "no consent": (refusal("unauthorized_client", "Client is unauthorized."), "no consent"),
    "a wrong scope": (refusal("invalid_scope", "AADSTS1002012", status=400), "the scope"),
    "a dead refresh token": (refusal("invalid_grant", status=400), "not valid any more"),
    "an error of its own": (refusal("moon_in_the_way", status=400), "access token was refused"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_said_in_plain_words(kind):
    said, words = REFUSALS[kind]
    with TokenServer(answers=[said]) as tokens:
        failure = refusal_of(sender(tokens), guard_for(tokens.port))
    told = diagnose(failure, server="smtp.gmail.com", port=587, encryption=None, from_address=None)
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.TOKEN_REFUSED)
    assert words in str(told.say)
    assert told.route_fault
    assert f"smtp.acme.test:{tokens.port}: HTTP {said.status}" in (failure.detail or "")


def test_an_endpoint_that_repeats_the_secrets_does_not_put_them_into_the_failure():
    echo = refusal("invalid_client", f"wrong: {SECRET} canary%2Bsecret%2Fof+the+client\r\nx\0y")
    with TokenServer(answers=[echo]) as tokens:
        failure = refusal_of(sender(tokens), guard_for(tokens.port))
    assert failure.reply == r"invalid_client: wrong: **** **** x\x00y"


def test_an_endpoint_that_repeats_a_key_does_not_put_it_into_the_failure():
    line = private_pem().splitlines()[3]
    with TokenServer(answers=[refusal("invalid_grant", f"not {line}")]) as tokens:
        failure = refusal_of(by_service_account(tokens), guard_for(tokens.port))
    assert failure.reply == "invalid_grant: not ****"


INCOMPLETE = {
    "no client id": ({"client_id": None}, "the client id is missing"),
    "no client secret": ({"secret": None}, "the client secret is missing"),
    "no token URL": ({"token_url": None}, "the token URL is missing"),
    "no refresh token": (
        {"authentication": Authentication.OAUTH2_REFRESH_TOKEN},
        "the refresh token is missing",
    ),
    "no OAuth2": ({"authentication": Authentication.PASSWORD}, "the authentication is none of"),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_what_is_missing_is_named(kind):
    changes, detail = INCOMPLETE[kind]
    with TokenServer(clients=CLIENTS) as tokens:
        failure = refusal_of(sender(tokens, **changes), guard_for(tokens.port))
        assert tokens.connections == 0
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.OAUTH_INCOMPLETE)
    assert (failure.detail or "").startswith(detail)


@pytest.mark.parametrize(
    "key", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "{", "{}"]
)
def test_a_key_that_is_none_is_said_so(key):
    with pytest.raises(Incomplete, match="private key"):
        oauth2_grants.service_account(key)


def test_nothing_that_may_be_printed_tells_a_secret():
    with TokenServer(clients=CLIENTS, refresh_tokens=["refresh-token-0"]) as tokens:
        bundle = replace(by_refresh_token(tokens), authentication=Authentication.PASSWORD)
        printed = repr(bundle) + repr(oauth2_grants.service_account(private_pem()))
    assert SECRET not in printed
    assert "refresh-token-0" not in printed
    assert "PRIVATE KEY" not in printed
