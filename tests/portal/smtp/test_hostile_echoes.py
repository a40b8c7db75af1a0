"""A reply repeats what the sender of a mail chose; that never reads as a fault of the route."""

from datetime import UTC, datetime

import pytest

from portal.smtp.causes import Cause
from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.message import build_message
from portal.smtp.replies import Reply
from portal.smtp.said import chosen_words
from portal.smtp.values import Failure, Phase
from portal.smtp.verdicts import cause_of

ADDRESSES = [
    "nobody.sendasdenied@evil.test",
    "SendAsDenied@evil.test",
    "relay@x.test",
    "relaying+denied@x.test",
    "x@relay.test",
    "x@relay",
    "recipientratelimit@x.test",
    "recipient.limit@x.test",
    "sending-quota@x.test",
    "daily_sending_limit@x.test",
    "sender.identity@x.test",
    "ann@sender-signature.test",
    "not.owned.by.user@x.test",
    "permission.to.send.as@x.test",
    "client-host-blocked@is.blacklisted.test",
    "blocked.using@x.test",
    "basic-authentication-is-disabled@x.test",
    "mi:nhd@x.test",
    "your-ip-is-on-a-blocklist@x.test",
    "your.ip@is-listed.test",
    "client.host.rejected@x.test",
    "dmarc.policy@x.test",
    "spf-fail@dmarc.test",
    "too-many-messages-sent@x.test",
    "emails.per.hour@x.test",
    "sender-address-rejected@x.test",
    '"sender identity"@x.test',
    '"relay access denied"@x.test',
]
NOBODY = [
    "550 5.1.1 <{a}>: Recipient address rejected: User unknown in local recipient table",  # Postfix
    "550 5.1.1 <{a}>: Recipient address rejected: undeliverable address: host mx.evil.test"
    "[192.0.2.9] said: 554 5.7.1 Relay access denied, sending quota (in reply to RCPT TO command)",
    "450 4.1.1 <{a}>: Recipient address rejected: unverified address",
    "550 5.1.2 <{a}>: Recipient address rejected: Domain not found",
    "554 5.7.1 <{a}>: Recipient address rejected: Access denied",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {a} not found by SMTP address lookup",
    "550 5.4.1 Recipient address rejected: Access denied. [AM0.eurprd02.prod.outlook.com]",
    "550 5.4.1 [{a}]: Recipient address rejected: Access denied",
    "550 5.1.1 The email account that you tried to reach does not exist: {a} - gsmtp",  # Gmail
    "550-5.1.1 The email account that you tried to reach does not exist. {l} at {d} - gsmtp",
    "550 Unrouteable address",  # Exim
    "550 {a}: Unrouteable address",
    "550-Callback setup failed while verifying <{a}>",
    "550 {l}: no such user at {d}",
    "550 Unknown user: {e}",
    "550 unknown user {l}",
    "550 5.1.1 <{a}>... User unknown",  # Sendmail
    "550 5.1.1 {l}... User unknown",
    "550 5.1.2 <{a}>... Host unknown (Name server: {d}: host not found)",
    "553 5.1.3 <{a}>... Hostname required",
    "553 sorry, that domain {d} isn't in my list (#5.7.1)",
    "550 Mailbox '{a}' not found",
    '550 "{a}" is no mailbox here',
    "550 No account &lt;{a}&gt;",
    "550 <{a}",
    "550 no such address {p}",
    "551 {s}",
]


def failure_of(phase: Phase, line: str, chosen: str) -> Failure:
    reply = Reply(int(line[:3]), (line[4:],))
    cause = cause_of(phase, reply, chosen)
    return Failure(phase, cause, reply.code, reply.enhanced_code, reply.text[:500], chosen=chosen)


def filled(template: str, address: str) -> str:
    """The address as it is, its parts alone, and as servers write it otherwise."""
    local, _, domain = address.rpartition("@")
    return template.format(
        a=address,
        l=local,
        d=domain,
        e=address.replace("@", "=40"),
        p=address.replace("@", "+40"),
        s=address.replace("@", " at ").replace(".", " ").replace("-", " "),
    )


@pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA, Phase.DOT])
@pytest.mark.parametrize("template", NOBODY)
def test_an_echoed_address_is_no_fault_of_the_route(phase: Phase, template: str) -> None:
    for address in ADDRESSES:
        line = filled(template, address)
        failure = failure_of(phase, line, chosen_words((address,)))
        assert failure.cause not in (Cause.RELAY_DENIED, Cause.QUOTA), line
        assert classify(failure) is not FailureClass.ROUTE_FAULT, line


@pytest.mark.parametrize(
    "template", [one for one in NOBODY if "{a}" in one and ": {a} -" not in one]
)
def test_an_address_in_full_is_known_by_its_form_alone(template: str) -> None:
    for address in ADDRESSES[:24]:
        failure = failure_of(Phase.RCPT, filled(template, address), "")
        assert classify(failure) is not FailureClass.ROUTE_FAULT, template


SUBJECTS = [
    "sender identity",
    "Invitation: SendAsDenied",
    "用户 sender identity 发送",
    "Daily sending quota",
    "recipient limit",
    "no permission to send as you",
    "Your IP is on a blocklist",
    "Your IP",
    "Blocked, listed, reputation",
    "DMARC policy of your domain",
    "SPF fail",
    "Too many messages sent today",
]


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(
    "template",
    [
        "550 Rejected for its subject: {}",
        "554 5.7.1 Spam message rejected ({})",
        '550 5.7.0 header "Subject: {}" is not taken',
        "554 5.6.0 {}",
        "554 5.7.1 Blocked. Your IP sent: {}",
        "550 5.1.1 {}",
    ],
)
def test_an_echoed_subject_or_text_is_no_fault_of_the_route(subject: str, template: str) -> None:
    shown = subject.encode("ascii", "backslashreplace").decode()
    for where in ({"subject": subject, "text": "x"}, {"subject": "x", "text": subject}):
        content = build_message(
            message_id="<1@acme.test>",
            date=datetime(2026, 11, 21, tzinfo=UTC),
            from_name="Acme",
            from_address="a@acme.test",
            to_address="ann@x.test",
            html=None,
            **where,
        )
        chosen = chosen_words(("ann@x.test",), content)
        failure = failure_of(Phase.DOT, template.format(shown), chosen)
        assert classify(failure) is FailureClass.MESSAGE


@pytest.mark.parametrize(
    ("phase", "line"),
    [
        (Phase.RCPT, "554 5.7.1 <ann@x.test>: Relay access denied"),
        (Phase.RCPT, "550 5.7.1 Unable to relay for ann@x.test"),
        (Phase.RCPT, "550 relay not permitted"),
        (Phase.RCPT, "550 5.7.1 ann@x.test... Relaying denied. IP name lookup failed"),
        (Phase.RCPT, "553 5.7.1 <a@b.test>: Sender address rejected: not owned by user joe"),
        (Phase.RCPT, "554 5.7.1 Client host [192.0.2.1] blocked using zen.example"),
        (Phase.DOT, "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (Phase.DOT, "550 The from address does not match a verified Sender Identity"),
        (Phase.DOT, "550 5.7.26 Unauthenticated email from alfa.test, due to its DMARC policy"),
        (Phase.DOT, "554 5.7.1 Message rejected: your IP [203.0.113.9] is on a blocklist"),
        (Phase.DOT, "554 5.7.0 Too many messages sent today"),
        (Phase.DATA, "503 5.5.1 valid RCPT command must precede DATA"),
        (Phase.DOT, "550 5.4.5 Daily sending quota exceeded"),
        (Phase.DOT, "554 5.2.252 SendAsDenied; a@b.test not allowed to send as c@b.test"),
    ],
)
def test_a_fault_of_the_route_stays_one_beside_an_innocent_mail(phase: Phase, line: str) -> None:
    failure = failure_of(phase, line, chosen_words(("ann@x.test",)))
    assert classify(failure) is FailureClass.ROUTE_FAULT


@pytest.mark.parametrize(
    "line",
    [
        "550 5.1.1 User unknown at relay.x.test",
        "550 rejected by relay.x.test[192.0.2.1]",
        "550 5.2.1 sending limit of this mailbox",
        "550 5.1.1 Relaying to nobody: sender identity, sendasdenied",
    ],
)
def test_a_code_of_the_recipient_and_a_computers_name_win_over_words(line: str) -> None:
    assert classify(failure_of(Phase.RCPT, line, "")) is FailureClass.RECIPIENT


def test_a_subject_that_cannot_be_read_is_no_trouble() -> None:
    broken = (
        b"Subject: =?utf-8?b?a?= =?x?q?=ff?=\r\nContent-Type: text/plain; charset=x\r\n\r\n\xff"
    )
    assert "ann x test" in chosen_words(("ann@x.test",), broken)
