import json
import ssl
from dataclasses import replace
from typing import Any

import pytest

from portal.destinations import (
    HostGuard,
    NameNotFound,
)
from portal.smtp.values import Authentication, Encryption
from tests import smtp_certificates
from tests.portal.delivery.staging import (
    CHECKED,
    TO,
    check,
    content,
    free_port,
    said,
    silent_port,
    steps_of,
)
from tests.smtp_client import SECRET, USER, FixedGuard, bundle_for
from tests.smtp_server import SmtpServer, drop, hang, reply


def test_check_connection_goes_to_the_recipient_and_sends_nothing() -> None:
    with SmtpServer() as server:
        report = check(bundle_for(server))

    assert report.passed
    assert not report.sent
    assert report.failure is None
    assert list(steps_of(report)) == CHECKED
    assert all(steps_of(report).values())
    assert "DATA" not in server.commands
    assert "RSET" in server.commands
    assert server.messages == []


def test_a_test_mail_goes_to_the_final_reply() -> None:
    with SmtpServer() as server:
        report = check(bundle_for(server), content=content())

    assert report.passed
    assert report.sent
    assert list(steps_of(report)) == [*CHECKED[:-1], "data", "dot"]
    assert report.steps[-1].detail == "2.0.0 ok: queued as 1"
    (received,) = server.messages
    assert received.recipients == (TO,)
    assert received.message["Subject"] == "Test mail"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_sender_with_encryption_and_password_passes_every_step(tls: Any) -> None:
    with SmtpServer(tls=tls, auth={USER: SECRET}) as server:
        report = check(bundle_for(server), content=content())

    assert report.passed
    middle = (
        ["tls", "greeting", "ehlo"] if tls == "tls" else ["greeting", "ehlo", "starttls", "tls"]
    )
    opening = ["dns", "connect", *middle, "auth"]
    assert list(steps_of(report)) == [*opening, "mail", "rcpt", "data", "dot"]
    assert report.tls
    assert report.tls.version == "TLSv1.3"
    assert report.tls.verified
    assert "AUTH PLAIN LOGIN" in report.capabilities
    (received,) = server.messages
    assert (received.authenticated_as, received.encrypted) == (USER, True)


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",)])
@pytest.mark.parametrize("password", [SECRET, "wrong but long enough"])
def test_no_secret_stands_in_a_report(mechanisms: tuple[str, ...], password: str) -> None:
    with SmtpServer(tls="starttls", auth={USER: password}, mechanisms=mechanisms) as server:
        report = check(bundle_for(server))

    lines = [line for line in server.commands if line and line not in ("STARTTLS", "RSET", "QUIT")]
    sent = [line for line in lines if line.startswith("AUTH") or " " not in line]
    told = json.dumps(report.as_json())
    assert any(line.startswith("C: AUTH") and "****" in line for line in report.transcript)
    assert SECRET not in told
    secrets = [word for line in sent for word in line.split() if len(word) > 20]
    assert secrets
    assert not any(secret in told for secret in secrets)


def test_the_report_has_the_shape_of_the_api() -> None:
    with SmtpServer(tls="starttls", script={"rcpt": reply("550 5.1.1 no such user")}) as server:
        told = check(bundle_for(server)).as_json()

    assert set(told) >= {"passed", "steps", "failure", "capabilities", "tls", "transcript"}
    assert all(set(step) == {"step", "ok", "ms", "detail"} for step in told["steps"])
    assert told["passed"] is False
    assert told["sent"] is False
    assert told["failure"] == {
        "step": "rcpt",
        "code": 550,
        "enhanced_code": "5.1.1",
        "reply": "5.1.1 no such user",
        "reason": "recipient_refused",
        "cause": "The server says that the recipient does not exist.",
        "cure": "Check the address. It is not tried again.",
        "repairs": [],
    }
    assert set(told["tls"]) >= {"version", "cipher", "verified", "names", "not_after"}
    assert told["tls"]["not_after"].endswith("Z")
    assert told["started_at"].endswith("Z")
    json.dumps(told)


def test_a_passed_report_has_no_failure() -> None:
    with SmtpServer() as server:
        told = check(bundle_for(server)).as_json()

    assert "failure" not in told
    assert told["tls"] is None
    assert "PIPELINING" in told["capabilities"]
    assert any(line.startswith("C: EHLO") for line in told["transcript"])
    assert any(line.startswith("S: 220") for line in told["transcript"])


def test_a_name_that_is_not_found_fails_at_the_look_up() -> None:
    with SmtpServer() as server:
        bundle = bundle_for(server)
    guard = FixedGuard(problem=NameNotFound("smtp.acme.test", temporary=False))
    report = check(bundle, guard=guard)

    assert said(report) == "The server name could not be found."
    assert steps_of(report) == {"dns": False} | dict.fromkeys(CHECKED[1:])
    assert report.failure
    assert report.failure.repairs == ()


def test_a_name_that_is_not_found_offers_the_whole_preset_of_the_address() -> None:
    with SmtpServer() as server:
        bundle = replace(bundle_for(server), from_address="ann@qq.com")
    guard = FixedGuard(problem=NameNotFound("smtp.qq.test", temporary=False))
    told = check(replace(bundle, server="smtp.qq.test"), guard=guard).as_json()
    right = check(replace(bundle, server="smtp.qq.com"), guard=guard).as_json()

    assert told["failure"]["repairs"] == [
        {
            "label": "Use the preset of QQ Mail QQ邮箱",
            "server": "smtp.qq.com",
            "encryption": "tls",
            "port": 465,
            "preset_for": "ann@qq.com",
        }
    ]
    assert right["failure"]["repairs"] == []


def test_a_closed_port_fails_at_the_connection() -> None:
    with SmtpServer() as server:
        bundle = bundle_for(server, port=free_port())
    report = check(bundle)

    assert said(report) == "Nothing answers on that port."
    assert steps_of(report) == {"dns": True, "connect": False} | dict.fromkeys(CHECKED[2:])


def test_a_filtered_port_fails_at_the_connection() -> None:
    with SmtpServer() as server, silent_port() as port:
        report = check(bundle_for(server, port=port, connect_timeout=0.05))

    assert said(report) == "Nothing answers on that port."
    assert report.failure
    assert report.failure.cause == "connect_timeout"


def test_tls_on_a_plain_port_offers_starttls_in_one_click() -> None:
    with SmtpServer() as server:
        report = check(bundle_for(server, encryption=Encryption.TLS))

    assert said(report) == "SSL/TLS was used on a port that starts in plain text."
    assert report.failure
    assert report.failure.repairs[0].encryption is Encryption.STARTTLS
    assert steps_of(report)["tls"] is False
    assert steps_of(report)["greeting"] is None


def test_a_plain_start_on_a_tls_port_offers_tls_in_one_click() -> None:
    with SmtpServer(tls="tls") as server:
        bundle = bundle_for(server, encryption=Encryption.STARTTLS, command_timeout=0.3)
        report = check(bundle)

    assert "expects SSL/TLS from the first byte" in said(report)
    assert report.failure
    assert report.failure.step == "greeting"
    assert report.failure.repairs[0].encryption is Encryption.TLS


def test_a_server_that_closes_before_the_greeting_is_seen_the_same() -> None:
    with SmtpServer(script={"greeting": drop()}) as server:
        report = check(bundle_for(server))

    assert "expects SSL/TLS from the first byte" in said(report)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (smtp_certificates.self_signed, "not trusted here"),
        (smtp_certificates.unknown_authority, "not trusted here"),
        (smtp_certificates.wrong_name, "for another name"),
        (smtp_certificates.expired, "out of date"),
    ],
)
def test_a_bad_certificate_fails_before_any_login(tls: Any, certificate: Any, words: str) -> None:
    with SmtpServer(tls=tls, auth={USER: SECRET}, certificate=certificate()) as server:
        report = check(bundle_for(server))

    assert words in said(report)
    assert report.failure
    assert report.failure.step == "tls"
    assert steps_of(report)["auth"] is None
    assert server.auth_bytes == 0


def test_the_names_of_a_wrong_certificate_are_shown() -> None:
    with SmtpServer(tls="tls", certificate=smtp_certificates.wrong_name()) as server:
        report = check(bundle_for(server))

    (step,) = (step for step in report.steps if step.step == "tls")
    assert "mail.other.test" in step.detail


def test_an_old_tls_server_is_named_as_such() -> None:
    with SmtpServer(tls="tls", newest_tls=ssl.TLSVersion.TLSv1_1) as server:
        report = check(bundle_for(server))

    assert said(report) == "The server only speaks old TLS."


@pytest.mark.parametrize(
    "script", [{}, {"starttls": reply("454 4.7.0 TLS not available")}], ids=["missing", "refused"]
)
def test_a_server_without_starttls_never_gets_the_password(script: Any) -> None:
    extensions = ("PIPELINING", "STARTTLS") if script else ("PIPELINING",)
    with SmtpServer(auth={USER: SECRET}, extensions=extensions, script=script) as server:
        report = check(bundle_for(server, encryption=Encryption.STARTTLS))

    assert said(report) == "The server does not offer STARTTLS here."
    assert steps_of(report)["starttls"] is False
    assert steps_of(report)["tls"] is None
    assert server.auth_bytes == 0


def test_a_server_that_refuses_our_name_wants_another_ehlo_name() -> None:
    script = {"ehlo": reply("550 MI:NHD nope"), "helo": reply("550 MI:NHD nope")}
    with SmtpServer(script=script) as server:
        report = check(bundle_for(server))

    assert "refuses the name that this computer gives" in said(report)
    assert steps_of(report)["ehlo"] is False


def test_a_wrong_password_fails_at_the_login_after_one_try() -> None:
    with SmtpServer(tls="starttls", auth={USER: "another"}) as server:
        report = check(bundle_for(server))

    assert said(report) == "The server rejects the user name or the password."
    assert sum(command.startswith("AUTH") for command in server.commands) == 1
    assert "AUTH PLAIN LOGIN" in report.capabilities
    assert steps_of(report) == {
        "dns": True,
        "connect": True,
        "greeting": True,
        "ehlo": True,
        "starttls": True,
        "tls": True,
        "auth": False,
        "mail": None,
        "rcpt": None,
        "reset": None,
    }


def test_a_login_in_clear_is_refused_before_the_connection() -> None:
    with SmtpServer(auth={USER: SECRET}) as server:
        report = check(bundle_for(server))

    assert "without encryption" in said(report)
    assert next(iter(steps_of(report))) == "policy"
    assert steps_of(report)["policy"] is False
    assert steps_of(report)["dns"] is None
    assert server.connections == 0


@pytest.mark.parametrize(
    ("phase", "line", "words"),
    [
        ("mail", "553 5.7.1 Mail from must equal authorized user", "differs from the login"),
        ("rcpt", "554 5.7.1 Relay access denied", "other domains"),
        ("dot", "554 DT:SPM", "content for spam"),
        ("data", "451 4.3.0 later", "just now"),
    ],
)
def test_a_refusal_in_the_transaction_fails_its_step(phase: str, line: str, words: str) -> None:
    with SmtpServer(script={phase: reply(line)}) as server:
        report = check(bundle_for(server), content=content())

    assert words in said(report)
    assert steps_of(report)[phase] is False
    assert server.messages == []


def test_a_lost_answer_to_the_finished_mail_is_said_to_be_unknown() -> None:
    with SmtpServer(script={"dot": drop()}) as server:
        report = check(bundle_for(server), content=content())

    assert "may have been sent" in said(report)
    assert steps_of(report)["dot"] is False


def test_a_loss_within_the_content_is_a_step_of_its_own() -> None:
    with SmtpServer(script={"body": drop()}) as server:
        large = content() + b"x\r\n" * 3_000_000
        report = check(bundle_for(server), content=large)

    assert list(steps_of(report))[-3:] == ["data", "body", "dot"]
    assert steps_of(report)["body"] is False
    assert steps_of(report)["dot"] is None


def test_a_failing_quit_is_no_failure() -> None:
    with SmtpServer(script={"quit": reply("421 4.3.0 oops")}) as server:
        report = check(bundle_for(server), content=content())

    assert report.passed
    assert report.sent


def test_a_host_sender_may_be_tested_inside() -> None:
    with SmtpServer() as server:
        report = check(bundle_for(server, server="127.0.0.1"), guard=HostGuard())

    assert report.passed
    assert report.steps[0].detail == "127.0.0.1"


def test_a_server_that_hangs_after_ehlo_ends_the_test() -> None:
    with SmtpServer(script={"mail": hang()}) as server:
        report = check(bundle_for(server, command_timeout=0.2))

    assert said(report) == "The server stopped answering."
    assert steps_of(report)["mail"] is False


def test_an_authentication_that_is_not_complete_is_said_before_the_connection() -> None:
    with SmtpServer(tls="tls") as server:
        bundle = bundle_for(server, authentication=Authentication.OAUTH2_CLIENT_CREDENTIALS)
        report = check(bundle)

    assert "OAuth2" in said(report)
    assert server.connections == 0
