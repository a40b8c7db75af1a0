from typing import Any

import pytest

from portal.smtp.causes import Cause
from portal.smtp.diagnosis import Diagnosis, FailureClass, classify, diagnose
from portal.smtp.values import Encryption, Failure, Phase
from tests.portal.smtp.failures import answered, found, of


def words(diagnosis: Diagnosis) -> str:
    return f"{diagnosis.say} {diagnosis.cure}"


SESSION = [
    (found(Phase.DNS, Cause.NAME_NOT_FOUND), {}, "name could not be found", "spelling"),
    (found(Phase.DNS, Cause.NAME_LOOKUP_FAILED), {}, "look-up", "Try again"),
    (found(Phase.CONNECT, Cause.CONNECT_TIMEOUT), {"port": 25}, "Port 25 is probably", "587"),
    (found(Phase.CONNECT, Cause.CONNECT_TIMEOUT), {}, "Nothing answers on that port", "firewall"),
    (found(Phase.CONNECT, Cause.CONNECT_REFUSED), {"port": 25}, "Nothing answers", "firewall"),
    (found(Phase.CONNECT, Cause.UNREACHABLE), {}, "Nothing answers on that port", "outgoing"),
    (
        found(Phase.TLS, Cause.TLS_WRONG_VERSION),
        {"encryption": Encryption.TLS},
        "SSL/TLS was used on a port that starts in plain text",
        "STARTTLS (usually port 587), or SSL/TLS on port 465",
    ),
    (found(Phase.TLS, Cause.TLS_WRONG_VERSION), {}, "could not be set up", "belong together"),
    (
        found(Phase.GREETING, Cause.NO_GREETING),
        {},
        "expects SSL/TLS from the first byte",
        "Choose SSL/TLS (usually port 465)",
    ),
    (
        found(Phase.GREETING, Cause.NO_GREETING),
        {"encryption": Encryption.TLS},
        "gave no greeting",
        "Check the port",
    ),
    (found(Phase.TLS, Cause.TLS_UNTRUSTED), {}, "not trusted here", "do not switch verification"),
    (found(Phase.TLS, Cause.TLS_WRONG_NAME), {}, "for another name", "name that stands in"),
    (found(Phase.TLS, Cause.TLS_EXPIRED), {}, "out of date", "renew"),
    (found(Phase.TLS, Cause.TLS_OLD_PROTOCOL), {}, "only speaks old TLS", "TLS 1.2"),
    (found(Phase.TLS, Cause.TLS_FAILED), {}, "could not be set up", "belong together"),
    (found(Phase.STARTTLS, Cause.STARTTLS_MISSING), {}, "does not offer STARTTLS", "never sent"),
    (
        answered(Phase.STARTTLS, "454 4.7.0 TLS not available due to temporary reason"),
        {},
        "does not offer STARTTLS here",
        "port 465",
    ),
    (answered(Phase.EHLO, "501 5.5.4 Invalid domain name"), {}, "name that this", "EHLO"),
    (answered(Phase.EHLO, "504 need fully-qualified hostname"), {}, "name that", "EHLO name"),
    (answered(Phase.EHLO, "550 MI:NHD 163 smtp3"), {}, "the name that this computer", "EHLO name"),
    (
        answered(Phase.RCPT, "504 5.5.2 <x>: Helo command rejected: need FQDN"),
        {},
        "the name that this computer",
        "EHLO name",
    ),
    (
        answered(Phase.AUTH, "530 5.7.0 Must issue a STARTTLS command first"),
        {"encryption": Encryption.NONE},
        "wants encryption",
        "STARTTLS",
    ),
    (answered(Phase.MAIL, "530 5.7.0 Must issue a STARTTLS first"), {}, "wants encryption", "587"),
    (answered(Phase.AUTH, "538 5.7.11 Encryption required"), {}, "wants encryption", "STARTTLS"),
    (found(Phase.POLICY, Cause.FORBIDDEN_DESTINATION), {}, "does not connect to", "administrator"),
    (found(Phase.POLICY, Cause.CLEAR_LOGIN_FORBIDDEN), {}, "without encryption", "administrator"),
    (answered(Phase.GREETING, "554 no service for you"), {}, "refuses connections", "blocked"),
]  # fmt: skip

LOGIN = [
    (
        "534-5.7.9 Application-specific password required. gsmtp",
        "smtp.gmail.com",
        "Gmail needs an app password",
        "myaccount.google.com/apppasswords",
    ),
    ("535 5.7.8 Username and Password not accepted x gsmtp", "relay.acme", "Gmail rejects", "app"),
    ("535 5.7.8 Username and Password not accepted", "smtp.gmail.com", "Gmail rejects", "full"),
    ("534 5.7.14 Please log in via your web browser", "smtp.gmail.com", "Gmail rejects", "app"),
    ("535 Login Fail. Please enter your authorization code", "smtp.qq.com", "QQ Mail wants", "new"),
    ("535 Login Fail. Please enter your authorization code", "127.0.0.1", "QQ Mail wants", "new"),
    ("535 Error", "smtp.qq.com", "QQ Mail wants the authorization code", "Account and Security"),
    ("535 Error", "smtp.exmail.qq.com", "Tencent Exmail rejects", "client-specific password"),
    ("535 Error: authentication failed", "smtp.163.com", "SMTP service of the mailbox", "once"),
    ("550 User has no permission", "smtp.126.com", "SMTP service of the mailbox", "new code"),
    ("550 User has no permission", "127.0.0.1", "SMTP service of the mailbox", "new code"),
    ("535 the account may not use SMTP", "smtp.sina.com", "SMTP service of the mailbox", "new"),
    ("451 4.7.1 too much fail authentication", "smtp.163.com", "locked this login", "Stop testing"),
    ("535 5.7.0 (#AUTH005) Too many bad auth attempts.", "smtp.mail.yahoo.com", "locked", "wait"),
    ("535 5.7.0 login failed", "smtp.mail.yahoo.com", "Yahoo rejects", "app password"),
    (
        "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.",
        "smtp.office365.com",
        "SMTP login switched off",
        "aka.ms/smtp_auth_disabled",
    ),
    (
        "535 5.7.139 SmtpClientAuthentication is disabled for the Mailbox.",
        "smtp.office365.com",
        "SMTP login switched off",
        "OAuth2",
    ),
    (
        "535 5.7.139 did not meet the criteria: organization's security defaults",
        "smtp.office365.com",
        "Login with a password is blocked",
        "Use OAuth2",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "smtp.office365.com",
        "Login with a password is blocked",
        "Use OAuth2",
    ),
    (
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "smtp.office365.com",
        "Login with a password is blocked",
        "Use OAuth2",
    ),
    ("535 5.7.3 Authentication unsuccessful", "mail.corp.example", "missing, or was", "UPN"),
    ("535 5.7.8 wrong user or password", "smtp.acme.example", "rejects the user", "Check both"),
    ("504 5.7.4 Unrecognized authentication type", "mail.acme", "offers no login here", "relay"),
    ("454 4.7.0 Temporary authentication failure", "smtp.acme.example", "just now", "tried again"),
    ("454 Throttling failure: Maximum sending rate", "email-smtp.example", "slow down", "rate"),
]  # fmt: skip

LOGIN_FOUND = [
    (Cause.AUTH_MISSING, None, "offers no login here", "authentication to none"),
    (Cause.AUTH_UNSUPPORTED, "CRAM-MD5", "or none that this portal speaks", "encryption first"),
    (Cause.AUTH_NTLM_ONLY, "NTLM", "only NTLM", "PLAIN or LOGIN"),
    (Cause.OAUTH_UNSUPPORTED, None, "OAuth2", "password"),
    (Cause.AUTH_REFUSED, '{"status":"401","schemes":"bearer"}', "token was refused", "renew"),
    (Cause.AUTH_REFUSED, "invalid_client: AADSTS7000215", "token was refused", "renew"),
    (Cause.AUTH_REFUSED, "unauthorized_client", "access token was refused", "service principal"),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "settings", "say", "cure"), SESSION)
def test_what_fails_before_the_login_is_said_with_its_cure(
    failure: Failure, settings: dict[str, Any], say: str, cure: str
) -> None:
    diagnosis = of(failure, **settings)

    assert say in str(diagnosis.say)
    assert cure in str(diagnosis.cure)
    assert diagnosis.cause == failure.cause


@pytest.mark.parametrize(("reply", "server", "say", "cure"), LOGIN)
def test_what_fails_at_the_login_is_said_with_the_providers_cure(
    reply: str, server: str, say: str, cure: str
) -> None:
    diagnosis = of(answered(Phase.AUTH, reply.replace("-", " ", 1)), server)

    assert say in str(diagnosis.say)
    assert cure in str(diagnosis.cure)
    assert diagnosis.temporary == reply.startswith("4")
    assert diagnosis.route_fault == reply.startswith("5")


@pytest.mark.parametrize(("cause", "detail", "say", "cure"), LOGIN_FOUND)
def test_a_login_that_cannot_be_done_is_said_with_its_cure(
    cause: Cause, detail: str | None, say: str, cure: str
) -> None:
    diagnosis = of(found(Phase.AUTH, cause, detail=detail))

    assert say in str(diagnosis.say)
    assert cure in str(diagnosis.cure)
    assert diagnosis.route_fault


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("phase", Phase)
def test_every_cause_in_every_phase_has_words_and_a_class(phase: Phase, cause: Cause) -> None:
    failure = found(phase, cause)
    diagnosis = diagnose(failure, server=None, port=None, encryption=None, from_address=None)

    assert str(diagnosis.say).endswith(".")
    assert str(diagnosis.cure).endswith(".")
    assert "!" not in words(diagnosis)
    assert "please" not in words(diagnosis).lower()
    assert isinstance(classify(failure), FailureClass)


def repairs(failure: Failure, **settings: Any) -> list[tuple[Encryption | None, int | None]]:
    return [(repair.encryption, repair.port) for repair in of(failure, **settings).repairs]


def test_certain_repairs_are_offered_for_one_click() -> None:
    plain = found(Phase.TLS, Cause.TLS_WRONG_VERSION)
    silent = found(Phase.GREETING, Cause.NO_GREETING)
    missing = found(Phase.STARTTLS, Cause.STARTTLS_MISSING)
    required = answered(Phase.MAIL, "530 5.7.0 Must issue a STARTTLS command first")
    starttls, tls = Encryption.STARTTLS, Encryption.TLS

    assert repairs(plain, encryption=tls, port=587) == [(starttls, 587), (tls, 465)]
    assert repairs(plain, encryption=tls, port=25) == [(starttls, 25), (tls, 465)]
    assert repairs(plain, encryption=tls, port=465) == [(starttls, 587)]
    assert repairs(silent, encryption=starttls, port=465) == [(tls, 465)]
    assert repairs(silent, encryption=Encryption.NONE, port=994) == [(tls, 994)]
    assert repairs(missing, port=587) == [(tls, 465)]
    assert repairs(required, encryption=Encryption.NONE, port=25) == [(starttls, 25)]
    assert repairs(found(Phase.CONNECT, Cause.CONNECT_REFUSED)) == []


def test_a_repair_says_what_it_changes() -> None:
    (repair,) = of(found(Phase.STARTTLS, Cause.STARTTLS_MISSING)).repairs
    assert str(repair.label) == "Use SSL/TLS on port 465"


def test_a_name_that_is_not_found_offers_the_preset_for_the_address() -> None:
    (repair,) = of(found(Phase.DNS, Cause.NAME_NOT_FOUND), from_address="ann@qq.com").repairs

    assert repair.preset_for == "ann@qq.com"
    assert str(repair.label) == "Use the preset for qq.com"
    assert of(found(Phase.DNS, Cause.NAME_NOT_FOUND), from_address="").repairs == ()


def test_an_accepted_mail_is_never_said_to_have_failed() -> None:
    diagnosis = of(found(Phase.QUIT, Cause.CONNECTION_LOST))
    assert "was sent" in str(diagnosis.say)
    assert "not sent again" in str(diagnosis.cure)


def test_a_lost_answer_to_the_finished_mail_is_unknown() -> None:
    for cause in (Cause.LOST_AFTER_DOT, Cause.TIMEOUT_AFTER_DOT):
        assert "may have been sent" in str(of(found(Phase.DOT, cause)).say)


@pytest.mark.parametrize(
    ("server", "reply", "locks"),
    [
        ("smtp.163.com", "535 Error: authentication failed", True),
        ("smtp.163.com", "451 too much fail authentication", True),
        ("smtp.mail.yahoo.com", "535 5.7.0 login failed", True),
        ("smtp.mail.yahoo.com", "535 5.7.0 Too many bad auth attempts", True),
        ("smtp.acme.example", "535 5.7.8 wrong", False),
        ("not163.com", "535 5.7.8 wrong", False),
        ("smtp.163.com.evil.example", "535 5.7.8 wrong", False),
    ],
)
def test_providers_that_lock_accounts_are_known(server: str, reply: str, locks: bool) -> None:
    assert of(answered(Phase.AUTH, reply), server).locks_account is locks
