"""Logging in against real sockets: one attempt, masked, and never in clear."""

import pytest

from portal.smtp.blocking import open_session
from portal.smtp.causes import Cause
from portal.smtp.values import Authentication, Phase
from tests.smtp_client import ACCOUNTS, SECRET, FixedGuard, Watching, bundle_for, failure_of
from tests.smtp_server import SmtpServer, reply


def test_the_transcript_shows_all_but_the_secret():
    watching = Watching()
    with SmtpServer(tls="starttls", auth=ACCOUNTS, mechanisms=("LOGIN",)) as server:
        open_session(bundle_for(server), guard=FixedGuard(), observer=watching).close()
        login = server.commands[server.commands.index("AUTH LOGIN") + 1 :][:2]
    shown = "\n".join(watching.transcript)
    assert "C: AUTH LOGIN ****\nS: 334 ****\nC: ****\nS: 334 ****\nC: ****\nS: 235" in shown
    assert not any(secret in shown for secret in (SECRET, *login))


def test_a_server_that_repeats_the_login_does_not_put_it_into_the_failure():
    parrot = reply(
        "535 5.7.8 wrong: AHBvcnRhbEBhY21lLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="
    )
    with SmtpServer(tls="tls", auth=ACCOUNTS, script={"auth": parrot}) as server:
        failure = failure_of(bundle_for(server))
    assert failure.reply == "5.7.8 wrong: ****"


MECHANISMS = {
    "none": ((), Cause.AUTH_MISSING),
    "NTLM": (("NTLM",), Cause.AUTH_NTLM_ONLY),
    "NTLM and GSSAPI": (("GSSAPI", "NTLM"), Cause.AUTH_NTLM_ONLY),
    "XOAUTH2": (("XOAUTH2",), Cause.AUTH_UNSUPPORTED),
    "CRAM-MD5": (("CRAM-MD5", "NTLM"), Cause.AUTH_UNSUPPORTED),
}


@pytest.mark.parametrize("offered", MECHANISMS)
def test_a_server_without_a_usable_login_gets_no_password(offered):
    mechanisms, cause = MECHANISMS[offered]
    with SmtpServer(tls="tls", auth=ACCOUNTS, mechanisms=mechanisms) as server:
        failure = failure_of(bundle_for(server))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.AUTH, cause)


def test_the_old_spelling_of_auth_is_understood():
    old = reply("250-smtp.acme.test", "250 AUTH=LOGIN PLAIN")
    with SmtpServer(tls="tls", auth=ACCOUNTS, script={"ehlo": old}) as server:
        open_session(bundle_for(server), guard=FixedGuard()).close()
        assert any(command.startswith("AUTH PLAIN") for command in server.commands)


def test_a_wrong_password_is_tried_once():
    with SmtpServer(tls="starttls", auth=ACCOUNTS) as server:
        failure = failure_of(bundle_for(server, secret="wrong"))
        attempts = [command for command in server.commands if command.startswith("AUTH")]
        assert len(attempts) == 1
    assert (failure.phase, failure.cause, failure.code, failure.enhanced_code) == (
        Phase.AUTH,
        Cause.AUTH_REFUSED,
        535,
        "5.7.8",
    )


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("454 4.7.0 later", Cause.AUTH_TEMPORARY),
        ("432 4.7.12 transition", Cause.AUTH_TEMPORARY),
        ("421 4.7.0 too many", Cause.AUTH_TEMPORARY),
        ("504 5.5.4 unknown mechanism", Cause.AUTH_UNSUPPORTED),
        ("530 5.7.0 Must issue a STARTTLS first", Cause.ENCRYPTION_REQUIRED),
        ("538 5.7.11 encryption required", Cause.ENCRYPTION_REQUIRED),
        ("550 User has no permission", Cause.AUTH_REFUSED),
        ("334 VXNlcm5hbWU6", Cause.PROTOCOL_ERROR),
    ],
)
def test_an_answer_to_the_login_has_its_cause(answer, cause):
    with SmtpServer(tls="tls", auth=ACCOUNTS, script={"auth": reply(answer)}) as server:
        failure = failure_of(bundle_for(server))
    assert (failure.phase, failure.cause) == (Phase.AUTH, cause)


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",), ("LOGIN", "PLAIN")])
def test_a_password_of_any_letters_logs_in(mechanisms):
    secret = " pä\u2003ss\\word " + "x" * 400
    with SmtpServer(tls="tls", auth={"ACME\\ann": secret}, mechanisms=mechanisms) as server:
        bundle = bundle_for(server, username="ann", domain="ACME", secret=secret)
        open_session(bundle, guard=FixedGuard()).close()


def test_a_password_never_goes_out_in_clear():
    with SmtpServer(auth=ACCOUNTS) as server:
        failure = failure_of(bundle_for(server))
        assert server.connections == 0
    assert (failure.phase, failure.cause) == (Phase.POLICY, Cause.CLEAR_LOGIN_FORBIDDEN)


def test_oauth2_that_is_not_complete_is_said_before_a_connection_is_made():
    with SmtpServer(tls="tls", auth=ACCOUNTS) as server:
        kind = Authentication.OAUTH2_CLIENT_CREDENTIALS
        failure = failure_of(bundle_for(server, authentication=kind))
        assert server.connections == 0
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.OAUTH_INCOMPLETE)
    assert failure.detail == "the token URL is missing"
