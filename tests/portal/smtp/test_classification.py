import pytest

from portal.smtp.causes import Cause
from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.values import Phase
from tests.portal.smtp.failures import answered, found, of

ROUTE_FAULT = FailureClass.ROUTE_FAULT
TEMPORARY = FailureClass.TEMPORARY
RECIPIENT = FailureClass.RECIPIENT
MESSAGE = FailureClass.MESSAGE


MAIL = [
    (Phase.MAIL, "530 5.7.57 Client not authenticated to send mail", "", "missing", ROUTE_FAULT),
    (Phase.RCPT, "530 5.7.0 Authentication required", "", "wants a login", ROUTE_FAULT),
    (Phase.MAIL, "550 5.7.60 Client has no right", "", "may not send as this From", ROUTE_FAULT),
    (
        Phase.DOT,
        "550 5.7.1 Client does not have permissions to send as this sender",
        "",
        "may not send as this From",
        ROUTE_FAULT,
    ),
    (
        Phase.DOT,
        "554 5.2.252 SendAsDenied; a@acme.example not allowed to send as b@acme.example",
        "",
        "may not send as this From",
        ROUTE_FAULT,
    ),
    (Phase.MAIL, "553 Mail from must equal authorized user", "", "differs from", ROUTE_FAULT),
    (Phase.MAIL, "553 x", "smtp.163.com", "differs from the login", ROUTE_FAULT),
    (
        Phase.MAIL,
        "501 mail from must be same as authorization user",
        "",
        "differs from the login",
        ROUTE_FAULT,
    ),
    (Phase.MAIL, "501 x", "smtp.exmail.qq.com", "differs from the login", ROUTE_FAULT),
    (Phase.MAIL, "553 Relaying disallowed", "smtp.zoho.com", "differs from", ROUTE_FAULT),
    (
        Phase.DOT,
        "550 The from address does not match a verified Sender Identity.",
        "",
        "not verified the From",
        ROUTE_FAULT,
    ),
    (
        Phase.DOT,
        "554 Message rejected: Email address is not verified.",
        "email-smtp.eu-west-1.amazonaws.com",
        "has not verified an address",
        MESSAGE,
    ),
    (Phase.RCPT, "452 4.5.3 too many recipients", "", "slow down", TEMPORARY),
    (Phase.MAIL, "450 4.2.1 receiving at a rate", "", "slow down", TEMPORARY),
    (Phase.GREETING, "421 4.7.0 Try again later", "", "slow down", TEMPORARY),
    (Phase.MAIL, "421 HL:ICC 163 smtp3", "", "slow down", TEMPORARY),
    (Phase.MAIL, "421 HL:IFC 163 smtp3", "", "slow down", TEMPORARY),
    (Phase.MAIL, "451 MI:SFQ 163 smtp3", "", "slow down", TEMPORARY),
    (Phase.RCPT, "451 RP:QRC 163 smtp3", "", "slow down", TEMPORARY),
    (Phase.MAIL, "432 4.3.2 Concurrent connections limit", "", "slow down", TEMPORARY),
    (Phase.DOT, "454 Throttling failure: daily message quota", "", "slow down", TEMPORARY),
    (Phase.DOT, "550 5.4.5 Daily sending quota exceeded", "", "quota is used up", ROUTE_FAULT),
    (Phase.DOT, "552 Daily sending quota exceeded", "", "quota is used up", ROUTE_FAULT),
    (Phase.DOT, "552 Monthly sending quota exceeded", "", "quota is used up", ROUTE_FAULT),
    (Phase.DOT, "554 5.2.0 recipient limit exceeded", "", "quota is used up", ROUTE_FAULT),
    (Phase.RCPT, "550 5.1.1 unknown", "", "recipient does not exist", RECIPIENT),
    (Phase.RCPT, "550 No such user here", "", "recipient does not exist", RECIPIENT),
    (Phase.RCPT, "553 sorry", "", "recipient does not exist", RECIPIENT),
    (Phase.RCPT, "556 5.1.10 null MX", "", "recipient does not exist", RECIPIENT),
    (Phase.RCPT, "552 5.2.2 quota exceeded for bob", "", "mailbox is full", RECIPIENT),
    (Phase.RCPT, "452 4.2.2 mailbox full", "", "mailbox is full", TEMPORARY),
    (Phase.RCPT, "550 5.7.1 refused", "", "not take mail to this recipient", RECIPIENT),
    (Phase.RCPT, "554 5.7.1 <x@y.example>: Relay access denied", "", "other domains", ROUTE_FAULT),
    (Phase.RCPT, "550 5.7.64 TenantAttribution", "", "other domains", ROUTE_FAULT),
    (Phase.RCPT, "554 5.7.1 blocked using zen.dnsbl.example", "", "block list", ROUTE_FAULT),
    (Phase.RCPT, "550 5.4.1 Recipient address rejected", "", "refuses the recipient", RECIPIENT),
    (Phase.RCPT, "451 4.7.1 Greylisted", "", "just now", TEMPORARY),
    (Phase.DOT, "554 DT:SPM 163 smtp3", "", "content for spam", MESSAGE),
    (Phase.DOT, "451 DT:SPM 163 smtp3", "", "content for spam", TEMPORARY),
    (Phase.DOT, "554 Reject by content spam", "", "content for spam", MESSAGE),
    (Phase.DOT, "550 From header is missing or invalid", "", "badly formed", MESSAGE),
    (Phase.DOT, "555 5.5.2 Syntax error", "", "badly formed", MESSAGE),
    (Phase.DOT, "552 5.3.4 Message too big", "", "too large", MESSAGE),
    (Phase.MAIL, "552 5.3.4 Message size exceeds fixed limit", "", "too large", MESSAGE),
    (Phase.DOT, "557 size", "", "too large", MESSAGE),
    (Phase.DOT, "550 5.6.7 SMTPUTF8 needed", "", "beyond ASCII", MESSAGE),
    (Phase.MAIL, "550 5.1.8 Sender refused", "", "refuses the From address", ROUTE_FAULT),
    (Phase.MAIL, "451 4.1.8 later", "", "from this From address just now", TEMPORARY),
    (Phase.DATA, "554 5.7.0 no", "", "refuses this mail", MESSAGE),
    (Phase.DATA, "451 4.3.0 later", "", "not take this mail just now", TEMPORARY),
    (Phase.DOT, "450 4.3.0 later", "", "not take this mail just now", TEMPORARY),
    (Phase.DOT, "550 5.7.26 DMARC", "", "does not vouch for this server", ROUTE_FAULT),
    (Phase.RCPT, "550 5.7.24 no", "", "does not vouch for this server", ROUTE_FAULT),
    (Phase.DOT, "450 4.7.26 DMARC", "", "not take this mail just now", TEMPORARY),
    (Phase.DOT, "554 5.7.1 your IP [203.0.113.9] is on a blocklist", "", "bad name", ROUTE_FAULT),
    (Phase.DOT, "554 5.7.1 a link is on a blocklist", "", "refuses this mail", MESSAGE),
    (Phase.DOT, "554 5.7.0 Too many messages sent today", "", "quota is used up", ROUTE_FAULT),
    (Phase.DATA, "503 5.5.1 out of order", "", "a command of the session", ROUTE_FAULT),
    (Phase.RCPT, "550 5.1.8 Sender address rejected", "", "the From address", ROUTE_FAULT),
    (Phase.GREETING, "421 closing", "", "busy", TEMPORARY),
    (Phase.MAIL, "421 4.3.2 shutting down", "", "busy", TEMPORARY),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "reply", "server", "say", "kind"), MAIL)
def test_what_fails_after_the_login_is_said_and_classified(
    phase: Phase, reply: str, server: str, say: str, kind: FailureClass
) -> None:
    failure = answered(phase, reply)
    diagnosis = of(failure, server or "smtp.acme.example")

    assert say in str(diagnosis.say)
    assert classify(failure) is kind
    assert diagnosis.temporary is (kind is TEMPORARY)
    assert diagnosis.route_fault is (kind is ROUTE_FAULT)


@pytest.mark.parametrize(
    ("phase", "cause", "kind"),
    [
        (Phase.DNS, Cause.NAME_NOT_FOUND, ROUTE_FAULT),
        (Phase.DNS, Cause.NAME_LOOKUP_FAILED, TEMPORARY),
        (Phase.POLICY, Cause.FORBIDDEN_DESTINATION, ROUTE_FAULT),
        (Phase.CONNECT, Cause.CONNECT_REFUSED, ROUTE_FAULT),
        (Phase.CONNECT, Cause.CONNECT_TIMEOUT, ROUTE_FAULT),
        (Phase.GREETING, Cause.NO_GREETING, ROUTE_FAULT),
        (Phase.GREETING, Cause.TIMEOUT, ROUTE_FAULT),
        (Phase.EHLO, Cause.CONNECTION_LOST, ROUTE_FAULT),
        (Phase.EHLO, Cause.REPLY_TOO_LONG, TEMPORARY),
        (Phase.GREETING, Cause.GREETING_REFUSED, ROUTE_FAULT),
        (Phase.STARTTLS, Cause.STARTTLS_MISSING, ROUTE_FAULT),
        (Phase.STARTTLS, Cause.STARTTLS_REFUSED, ROUTE_FAULT),
        (Phase.TLS, Cause.TLS_FAILED, ROUTE_FAULT),
        (Phase.TLS, Cause.TLS_EXPIRED, ROUTE_FAULT),
        (Phase.AUTH, Cause.AUTH_MISSING, ROUTE_FAULT),
        (Phase.AUTH, Cause.AUTH_REFUSED, ROUTE_FAULT),
        (Phase.AUTH, Cause.AUTH_TEMPORARY, TEMPORARY),
        (Phase.MAIL, Cause.SENDER_TEMPORARY, TEMPORARY),
        (Phase.MAIL, Cause.SENDER_REFUSED, ROUTE_FAULT),
        (Phase.MAIL, Cause.SIZE_EXCEEDED, MESSAGE),
        (Phase.MAIL, Cause.UTF8_NEEDED, ROUTE_FAULT),
        (Phase.RCPT, Cause.UTF8_NEEDED, RECIPIENT),
        (Phase.RCPT, Cause.RECIPIENT_TEMPORARY, TEMPORARY),
        (Phase.RCPT, Cause.RECIPIENT_REFUSED, RECIPIENT),
        (Phase.DATA, Cause.CONTENT_TEMPORARY, TEMPORARY),
        (Phase.DATA, Cause.CONTENT_REFUSED, MESSAGE),
        (Phase.DATA, Cause.PROTOCOL_ERROR, TEMPORARY),
        (Phase.BODY, Cause.CONNECTION_LOST, TEMPORARY),
        (Phase.BODY, Cause.TIMEOUT, TEMPORARY),
        (Phase.DOT, Cause.LOST_AFTER_DOT, TEMPORARY),
        (Phase.DOT, Cause.TIMEOUT_AFTER_DOT, TEMPORARY),
        (Phase.DOT, Cause.CONTENT_REFUSED, MESSAGE),
        (Phase.RESET, Cause.CONNECTION_LOST, TEMPORARY),
    ],
)
def test_a_fault_is_classified_by_whom_it_is_about(
    phase: Phase, cause: Cause, kind: FailureClass
) -> None:
    assert classify(found(phase, cause)) is kind


@pytest.mark.parametrize("words_of_500", ["sending quota", "send as", "sender identity", "5.7.139"])
@pytest.mark.parametrize("phase", [Phase.AUTH, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT])
def test_a_reply_that_begins_with_4_is_temporary_whatever_its_words(
    phase: Phase, words_of_500: str
) -> None:
    assert classify(answered(phase, f"451 {words_of_500}")) is TEMPORARY
