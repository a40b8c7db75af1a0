"""Logging in by an access token (XOAUTH2): token endpoint and mail server on real sockets."""

import base64
import traceback

import pytest

from portal.smtp.blocking import Session, open_session
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import diagnose
from portal.smtp.login import refusal_of
from portal.smtp.values import Bundle, Encryption, Failure, Phase, SessionFailed
from tests.portal.smtp.oauth2_setting import (
    ACCOUNT,
    CLIENTS,
    SECRET,
    by_refresh_token,
    by_service_account,
    guard_for,
    private_key,
    private_pem,
    sender,
)
from tests.smtp_client import ACCOUNTS, USER, Watching
from tests.smtp_server import SmtpServer, reply
from tests.token_server import Said, TokenServer, refusal

GRANTS = {
    "client credentials": sender,
    "service account": by_service_account,
    "refresh token": by_refresh_token,
}


def token_server(**changes: object) -> TokenServer:
    """An endpoint for all three grants."""
    return TokenServer(
        **{
            "clients": CLIENTS,
            "accounts": {ACCOUNT: private_key().public_key()},
            "refresh_tokens": ["refresh-token-0"],
            **changes,
        }
    )


def opened(bundle: Bundle, server: SmtpServer, tokens: TokenServer, **more: object) -> Session:
    return open_session(bundle, guard=guard_for(server.port, tokens.port), **more)


def failure_of(bundle: Bundle, server: SmtpServer, tokens: TokenServer, **more: object) -> Failure:
    with pytest.raises(SessionFailed) as raised:
        opened(bundle, server, tokens, **more)
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value.failure)
    hidden = [SECRET, *tokens.live, *(t for t in (bundle.secret, bundle.refresh_token) if t)]
    assert not any(secret in told for secret in hidden)
    return raised.value.failure


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
@pytest.mark.parametrize("grant", GRANTS)
def test_each_grant_opens_a_session_that_sends(grant, encryption):
    with token_server() as tokens, SmtpServer(tls=encryption, tokens=tokens.live) as server:
        bundle = GRANTS[grant](tokens, port=server.port, encryption=Encryption(encryption))
        session = opened(bundle, server, tokens)
        session.send(USER, "ann@globex.test", b"Subject: hi\r\n\r\nhi\r\n")
        session.close()
        assert [message.authenticated_as for message in server.messages] == [USER]


@pytest.mark.parametrize("length", [20, 2500, 8192])
def test_a_token_of_any_length_logs_in_and_is_never_shown(length):
    watching = Watching()
    with (
        token_server(token="t" * length) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live) as server,
    ):
        bundle = sender(tokens, port=server.port)
        opened(bundle, server, tokens, observer=watching).close()
        (first,) = [command for command in server.commands if command.startswith("AUTH")]
        assert len(first) <= 510
    shown = "\n".join([*watching.transcript, *(step.detail for step in watching.steps)])
    assert "C: AUTH XOAUTH2 ****\n" in shown
    assert "t" * 20 not in shown
    assert base64.b64encode(b"t" * 18).decode() not in shown
    assert SECRET not in shown


def test_the_token_is_a_step_of_its_own_before_the_look_up():
    watching = Watching()
    with token_server() as tokens, SmtpServer(tls="tls", tokens=tokens.live) as server:
        opened(sender(tokens, port=server.port), server, tokens, observer=watching).close()
        first, *others = watching.steps
        assert (first.phase, first.ok) == (Phase.AUTH, True)
        assert first.detail == f"access token from {tokens.url}"
    assert [step.phase for step in others] == [
        Phase(name) for name in ["dns", "connect", "tls", "greeting", "ehlo", "auth"]
    ]


def test_many_sessions_ask_for_one_token():
    with token_server() as tokens, SmtpServer(tls="tls", tokens=tokens.live) as server:
        for _ in range(3):
            opened(sender(tokens, port=server.port), server, tokens).close()
        assert len(tokens.requests) == 1


@pytest.mark.parametrize("length", [20, 2500])
def test_a_refused_token_is_tried_once_and_fetched_anew_for_the_next_session(length):
    watching = Watching()
    with (
        token_server(token="{}" + "t" * length) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live) as server,
    ):
        bundle = sender(tokens, port=server.port)
        opened(bundle, server, tokens).close()
        revoked = tokens.live.pop()
        server.commands.clear()
        failure = failure_of(bundle, server, tokens, observer=watching)
        said = [c for c in server.commands if c.startswith("AUTH") or not c]
        assert len(said) == 2
        assert said[1] == ""  # the answer to the challenge that tells why
        opened(bundle, server, tokens).close()
        assert revoked not in tokens.live
    assert (failure.phase, failure.cause, failure.code) == (Phase.AUTH, Cause.TOKEN_REFUSED, 535)
    assert failure.detail == '{"status":"401","schemes":"bearer","scope":"https://mail.acme.test/"}'
    assert revoked not in "\n".join(watching.transcript)
    assert "C: \nS: 535 5.7.8 token not accepted" in "\n".join(watching.transcript)


ANSWERS = {
    "535 5.7.3 Authentication unsuccessful": (Cause.TOKEN_REFUSED, "access token was refused"),
    "535 5.7.8 Username and Password not accepted gsmtp": (Cause.TOKEN_REFUSED, "access token"),
    "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.": (
        Cause.TOKEN_REFUSED,
        "SMTP login switched off",
    ),
    "454 4.7.0 Temporary authentication failure": (Cause.AUTH_TEMPORARY, "just now"),
    "504 5.7.4 Unrecognized authentication type": (Cause.AUTH_UNSUPPORTED, "no login here"),
    "538 5.7.11 encryption required": (Cause.ENCRYPTION_REQUIRED, "wants encryption"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_to_the_token_has_its_cause_and_words(answer):
    cause, words = ANSWERS[answer]
    script = {"auth": reply(answer)}
    with (
        token_server() as tokens,
        SmtpServer(tls="tls", tokens=tokens.live, script=script) as server,
    ):
        failure = failure_of(sender(tokens, port=server.port), server, tokens)
    told = diagnose(
        failure, server="smtp.gmail.com", port=587, encryption=Encryption.TLS, from_address=USER
    )
    assert failure.cause == cause
    assert words in str(told.say)
    assert told.temporary == answer.startswith("4")


def test_a_server_that_repeats_the_token_does_not_put_it_into_the_failure():
    token = "canary-of-the-token"
    login = base64.b64encode(f"user={USER}\1auth=Bearer {token}\1\1".encode()).decode()
    script = {"auth": reply(f"535 5.7.8 {token} {login}")}
    with (
        token_server(token=token) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live, script=script) as server,
    ):
        failure = failure_of(sender(tokens, port=server.port), server, tokens)
    assert failure.reply == "5.7.8 **** ****"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (b'{"status":"400","token":"t"}', '{"status":"400"}'),
        (b'{ "status" : 401 }', '{"status":"401"}'),
        (b'{"error":"x"}', None),
        (b"[1]", None),
        (b"no JSON", None),
        (b"\xff", None),
    ],
)
def test_of_a_challenge_only_what_is_known_is_kept(told, kept):
    assert refusal_of(base64.b64encode(told).decode()) == kept
    assert refusal_of("not base64!") is None


@pytest.mark.parametrize(
    ("offer", "cause"),
    [
        ({"auth": ACCOUNTS}, Cause.OAUTH_UNSUPPORTED),
        ({"auth": ACCOUNTS, "mechanisms": ("NTLM",)}, Cause.OAUTH_UNSUPPORTED),
        ({}, Cause.AUTH_MISSING),
    ],
)
def test_a_server_without_xoauth2_gets_no_token(offer, cause):
    with token_server() as tokens, SmtpServer(tls="tls", **offer) as server:
        failure = failure_of(sender(tokens, port=server.port), server, tokens)
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.AUTH, cause)


def test_a_token_never_goes_out_in_clear():
    with token_server() as tokens, SmtpServer(tokens=tokens.live) as server:
        bundle = sender(tokens, port=server.port, encryption=Encryption.NONE)
        failure = failure_of(bundle, server, tokens)
        assert (tokens.connections, server.connections) == (0, 0)
    assert (failure.phase, failure.cause) == (Phase.POLICY, Cause.CLEAR_LOGIN_FORBIDDEN)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (refusal("invalid_client"), Cause.TOKEN_REFUSED),
        (Said(503), Cause.TOKEN_UNAVAILABLE),
    ],
)
def test_without_a_token_no_connection_is_made(answer, cause):
    watching = Watching()
    with (
        token_server(answers=[answer]) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live) as server,
    ):
        bundle = sender(tokens, port=server.port)
        failure = failure_of(bundle, server, tokens, observer=watching)
        assert server.connections == 0
    assert (failure.phase, failure.cause) == (Phase.AUTH, cause)
    assert [(step.phase, step.ok) for step in watching.steps] == [(Phase.AUTH, False)]


def test_a_new_refresh_token_is_handed_back_even_where_the_session_then_fails():
    stored: list[str] = []
    with token_server(rotate=True) as tokens, SmtpServer(tls="tls", auth=ACCOUNTS) as server:
        bundle = by_refresh_token(tokens, port=server.port)
        failure_of(bundle, server, tokens, rotated=stored.append)
    assert stored == ["refresh-token-1"]


def test_no_part_of_a_private_key_is_shown():
    watching = Watching()
    with token_server() as tokens, SmtpServer(tls="tls", tokens=tokens.live) as server:
        bundle = by_service_account(tokens, port=server.port)
        opened(bundle, server, tokens, observer=watching).close()
    shown = "\n".join([*watching.transcript, *(step.detail for step in watching.steps)])
    assert not any(line in shown for line in private_pem().splitlines())
