"""What a token endpoint may do instead of answering, and where it may be: on real sockets."""

import json
import socket

import pytest

from portal.destinations import AllowedDestinations, Forbidden, HostGuard, OrganizationGuard
from portal.smtp import oauth2_endpoint
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import diagnose
from portal.smtp.oauth2 import access_token
from portal.smtp.oauth2_grants import Incomplete
from portal.smtp.values import Phase
from tests import smtp_certificates
from tests.portal.resolvers import PUBLIC, answering, failing
from tests.portal.smtp.oauth2_setting import CLIENTS, guard_for, refusal_of, sender, token_of
from tests.token_server import Exchange, Said, TokenServer, refusal


def drip(exchange: Exchange) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
        if exchange.server.owner.stopping.wait(0.05):
            return
        exchange.wfile.write(bytes([byte]))


def hang(exchange: Exchange) -> None:
    exchange.server.owner.stopping.wait(10)


def endless(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not exchange.server.owner.stopping.is_set():
        exchange.wfile.write(b" " * 65536)


def endless_head(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not exchange.server.owner.stopping.is_set():
        exchange.wfile.write(b"X: " + b"y" * 60000 + b"\r\n")


def token_json(**members: object) -> Said:
    return Said(body=json.dumps({"access_token": "t", "token_type": "Bearer"} | members).encode())


NO_ANSWERS = {
    "a busy endpoint": (Said(503, b"later"), "HTTP 503"),
    "a limit": (refusal("invalid_request", status=429), "HTTP 429"),
    "an error that passes": (refusal("temporarily_unavailable", status=400), "HTTP 400"),
    "another page": (Said(404, b"<html>"), "HTTP 404"),
    "a redirect": (Said(307, headers={"Location": "https://127.0.0.1/"}), "redirect"),
    "an answer without token": (Said(200, b"{}"), "no token"),
    "no JSON": (Said(200, b"<html>token</html>"), "no token"),
    "JSON without end": (Said(200, b"[" * 60000), "no token"),
    "a list": (Said(200, b"[1]"), "no token"),
    "a token with a line break": (token_json(access_token="a\r\nMAIL FROM:<b>"), "no token"),
    "a token with a separator": (token_json(access_token="a\1user=ceo"), "no token"),
    "an empty token": (token_json(access_token=""), "no token"),
    "a token without end": (token_json(access_token="a" * 9000), "no token"),
    "a token of another kind": (token_json(token_type="mac"), "no token"),
    "an answer too long": (Said(200, b" " * 70000), "too long"),
    "an answer without end": (Said(raw=endless), "too long"),
    "a head without end": (Said(raw=endless_head), "not one of a web server"),
    "another protocol": (Said(raw=lambda e: e.wfile.write(b"220 mx\r\n")), "not one of a web"),
    "nothing": (Said(raw=lambda e: None), "not one of a web server"),
    "silence": (Said(raw=hang), "timeout"),
    "a byte now and then": (Said(raw=drip), "timeout"),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_an_answer_that_is_none_is_a_fault_of_the_endpoint(kind):
    said, detail = NO_ANSWERS[kind]
    with TokenServer(answers=[said]) as tokens:
        failure = refusal_of(sender(tokens, command_timeout=0.5), guard_for(tokens.port))
        assert tokens.connections == 1
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.TOKEN_UNAVAILABLE)
    assert detail in (failure.detail or "")


def test_an_answer_in_chunks_is_read():
    body = token_json().body
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    said = Said(body=chunked, headers={"Transfer-Encoding": "chunked"})
    with TokenServer(answers=[said]) as tokens:
        assert token_of(sender(tokens), tokens) == "t"


def test_an_endpoint_that_is_down_is_said_so():
    with TokenServer() as tokens:
        bundle, port = sender(tokens), tokens.port
    failure = refusal_of(bundle, guard_for(port))
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.TOKEN_UNAVAILABLE)
    assert failure.detail == f"token endpoint smtp.acme.test:{port}: connect_refused"


@pytest.mark.parametrize("temporary", [False, True])
def test_an_endpoint_without_an_address_is_said_so(temporary):
    number = socket.EAI_AGAIN if temporary else socket.EAI_NONAME
    guard = HostGuard(failing(socket.gaierror(number, "no answer")))
    with TokenServer() as tokens:
        failure = refusal_of(sender(tokens), guard)
    told = diagnose(failure, server=None, port=None, encryption=None, from_address=None)
    assert "name of the token endpoint" in str(told.say)


def test_a_dead_first_address_leaves_time_for_the_second():
    guard = HostGuard(lambda host, port: ["127.0.0.2", "127.0.0.1"])
    with TokenServer(clients=CLIENTS) as tokens:
        assert access_token(sender(tokens), guard=guard) in tokens.live


FORBIDDEN = {
    "a private address": guard_for(),
    "another port": guard_for(1),
    "an address that changes": guard_for(name="10.0.0.1"),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_a_forbidden_endpoint_hears_nothing(kind):
    with TokenServer(clients=CLIENTS) as tokens:
        failure = refusal_of(sender(tokens), FORBIDDEN[kind])
        assert (tokens.connections, tokens.bytes_received) == (0, 0)
    told = diagnose(failure, server=None, port=None, encryption=None, from_address=None)
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.FORBIDDEN_DESTINATION)
    assert "token endpoint" in str(told.say)


def test_http_is_spoken_to_an_opened_destination_only():
    with TokenServer(clients=CLIENTS, tls=False) as tokens:
        failure = refusal_of(sender(tokens), HostGuard(lambda host, port: ["127.0.0.1"]))
        assert (tokens.connections, failure.cause) == (0, Cause.FORBIDDEN_DESTINATION)
        assert token_of(sender(tokens), tokens) in tokens.live


CERTIFICATES = {
    "expired": (smtp_certificates.expired, "tls_expired"),
    "wrong name": (smtp_certificates.wrong_name, "tls_wrong_name"),
    "unknown CA": (smtp_certificates.unknown_authority, "tls_untrusted"),
    "self-signed": (smtp_certificates.self_signed, "tls_untrusted"),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate_hears_no_secret_whatever_the_sender_verifies(kind, verify):
    make, why = CERTIFICATES[kind]
    with TokenServer(clients=CLIENTS, certificate=make()) as tokens:
        bundle = sender(tokens, verify=verify)
        failure = refusal_of(bundle, guard_for(tokens.port))
        assert (tokens.bytes_received, tokens.requests) == (0, [])
    told = diagnose(failure, server=None, port=None, encryption=None, from_address=None)
    assert failure.cause == Cause.TOKEN_UNAVAILABLE
    assert failure.detail == f"token endpoint smtp.acme.test:{tokens.port}: {why}"
    assert "certificate" in str(told.say)


def test_an_endpoint_without_tls_hears_no_secret():
    with TokenServer(clients=CLIENTS, tls=False) as tokens:
        bundle = sender(tokens, token_url=tokens.url.replace("http:", "https:"))
        assert "tls_" in (refusal_of(bundle, guard_for(tokens.port)).detail or "")
        assert tokens.bytes_received == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://login.acme.test/token",
        "login.acme.test/token",
        "https://",
        "https:///token",
        "https://user@login.acme.test/token",
        "https://login.acme.test/token#part",
        "https://login.acme.test:99999/token",
        "https://login.acme.test/to ken",
        "https://login.acme.test/token\r\nX: y",
        "https://bücher.test/token",
        "https://[::1/token",
    ],
)
def test_a_token_url_that_is_none_is_refused(url):
    with pytest.raises(Incomplete):
        oauth2_endpoint.read(url)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://login.acme.test", "login.acme.test", "/"),
        ("https://login.acme.test:443/a?b", "login.acme.test", "/a?b"),
        ("https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443", "/a"),
        ("http://LOGIN.acme.test/a", "login.acme.test", "/a"),
    ],
)
def test_a_token_url_is_read(url, authority, target):
    endpoint = oauth2_endpoint.read(url)
    assert (endpoint.authority, endpoint.target) == (authority, target)


def test_an_organization_may_ask_public_endpoints_on_their_usual_port():
    guard = OrganizationGuard(AllowedDestinations(), answering(PUBLIC))
    assert guard.web_addresses("login.acme.example", 443, clear=False) == (PUBLIC,)
    for port, clear in ((443, True), (80, True), (8443, False), (587, False)):
        with pytest.raises(Forbidden):
            guard.web_addresses("login.acme.example", port, clear=clear)
    with pytest.raises(Forbidden):
        guard.addresses("login.acme.example", 443)


@pytest.mark.parametrize("opened", ["login.acme.local:8080", "10.0.0.0/8:8080"])
@pytest.mark.parametrize("at_host", [True, False])
def test_http_needs_a_destination_that_was_opened(opened, at_host):
    allowed, resolver = AllowedDestinations.parse([opened]), answering("10.1.1.1")
    guard = (
        HostGuard(resolver, allowed=allowed) if at_host else OrganizationGuard(allowed, resolver)
    )
    assert guard.web_addresses("login.acme.local", 8080, clear=True) == ("10.1.1.1",)
    with pytest.raises(Forbidden):
        guard.web_addresses("login.acme.local", 8081, clear=True)
