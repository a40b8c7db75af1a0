"""Replies and what they mean, by table."""

import pytest

from portal.smtp.capabilities import capabilities_of
from portal.smtp.causes import Cause
from portal.smtp.replies import Reply, ReplyReader
from portal.smtp.values import Phase
from portal.smtp.verdicts import cause_of


def read(data: bytes) -> Reply:
    reader = ReplyReader()
    reader.feed(data)
    reply = reader.next()
    assert reply
    return reply


@pytest.mark.parametrize(
    ("data", "text", "enhanced"),
    [
        (b"250 2.1.0 ok\r\n", "2.1.0 ok", "2.1.0"),
        (b"550-5.7.1 first\r\n550-5.7.1 second\r\n550 5.7.1 third\r\n", None, "5.7.1"),
        (b"550 2.1.0 class of another code\r\n", "2.1.0 class of another code", None),
        (b"550 5.1.1234 too long\r\n", "5.1.1234 too long", None),
        (b"550 version 5.1.1\r\n", "version 5.1.1", None),
        (b"550 5.1.1\r\n", "5.1.1", "5.1.1"),
        (b"250\r\n", "", None),
        (b"250-\r\n250\r\n", "", None),
        (b"250 a\tb\r\n", "a b", None),
    ],
)
def test_text_and_enhanced_code_are_read(data, text, enhanced):
    reply = read(data)
    assert reply.text == (text if text is not None else "5.7.1 first second third")
    assert reply.enhanced_code == enhanced
    assert reply.clean


def test_a_shown_line_is_never_longer_than_500_characters():
    assert len(read(b"550 " + b"\xff" * 3000 + b"\r\n").lines[0]) == 500


@pytest.mark.parametrize(
    ("phase", "answer", "cause"),
    [
        (
            Phase.AUTH,
            b"534-5.7.9 Application-specific password required\r\n534 5.7.9 x\r\n",
            "auth_refused",
        ),
        (Phase.AUTH, b"535 Login Fail. Please enter your authorization code\r\n", "auth_refused"),
        (Phase.AUTH, b"451 too much fail authentication\r\n", "auth_temporary"),
        (Phase.AUTH, b"535 5.7.139 SmtpClientAuthentication is disabled\r\n", "auth_refused"),
        (Phase.MAIL, b"530 5.7.57 Client not authenticated\r\n", "sender_refused"),
        (Phase.MAIL, b"553 Mail from must equal authorized user\r\n", "sender_refused"),
        (Phase.MAIL, b"554 5.2.252 SendAsDenied\r\n", "sender_refused"),
        (Phase.MAIL, b"452 4.3.1 no storage\r\n", "sender_temporary"),
        (Phase.RCPT, b"553 no such user\r\n", "recipient_refused"),
        (Phase.RCPT, b"550 5.7.1 your message was blocked\r\n", "recipient_refused"),
        (Phase.RCPT, b"550 relaying prohibited\r\n", "relay_denied"),
        (Phase.RCPT, b"450 4.2.1 slow down\r\n", "recipient_temporary"),
        (Phase.RCPT, b"530 5.7.0 Must issue a STARTTLS command first\r\n", "encryption_required"),
        (Phase.DOT, b"554 DT:SPM\r\n", "content_refused"),
        (Phase.DOT, b"451 DT:SPM\r\n", "content_temporary"),
        (Phase.DOT, b"550 From header missing\r\n", "content_refused"),
        (Phase.DOT, b"552 5.2.2 mailbox full\r\n", "content_refused"),
        (Phase.DOT, b"552 5.3.4 too big\r\n", "size_exceeded"),
        (Phase.DOT, b"552 Daily sending quota exceeded\r\n", "quota"),
        (Phase.DOT, b"421 4.7.0 HL:ICC\r\n", "busy"),
        (Phase.RCPT, b"550 5.7.23 SPF fail - not authorized\r\n", "sender_unproven"),
        (Phase.RCPT, b"550 5.7.27 Sender address has null MX\r\n", "sender_unproven"),
        (Phase.DOT, b"550 5.7.20 no\r\n", "sender_unproven"),
        (
            Phase.DOT,
            b"550 5.7.26 Unauthenticated email from a.test is not accepted due to domain's DMARC "
            b"policy\r\n",
            "sender_unproven",
        ),
        (
            Phase.DOT,
            b"550 5.7.509 Access denied, sending domain a.test does not pass DMARC "
            b"verification\r\n",
            "sender_unproven",
        ),
        (Phase.DOT, b"554 5.7.1 Rejected, SPF check failed\r\n", "sender_unproven"),
        (Phase.DOT, b"550 5.7.25 no PTR\r\n", "address_blocked"),
        (
            Phase.DOT,
            b"554 5.7.1 Message rejected: your IP [203.0.113.9] is on a blocklist\r\n",
            "address_blocked",
        ),
        (
            Phase.DOT,
            b"554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using x.test\r\n",
            "address_blocked",
        ),
        (
            Phase.DOT,
            b"550-5.7.1 [203.0.113.9] Our system has detected that this message is likely\r\n"
            b"550 5.7.1 suspicious due to the very low reputation of the sending IP address\r\n",
            "address_blocked",
        ),
        (
            Phase.RCPT,
            b"554 5.7.1 <x.test[203.0.113.9]>: Client host rejected: Access denied\r\n",
            "address_blocked",
        ),
        (
            Phase.RCPT,
            b"550 5.7.606 Access denied, banned sending IP [203.0.113.9]\r\n",
            "address_blocked",
        ),
        (Phase.DOT, b"554 5.7.1 Spam. Your IP was written down\r\n", "content_refused"),
        (Phase.DOT, b"554 5.7.1 Blocked, a link is listed. Your IP is kept\r\n", "content_refused"),
        (Phase.DOT, b"554 5.7.1 Message contains a URL that is blacklisted\r\n", "content_refused"),
        (Phase.RCPT, b"550 5.1.8 <a@b.test>: Sender address rejected\r\n", "sender_refused"),
        (Phase.RCPT, b"550 <a@b.test>: Sender address rejected: no\r\n", "sender_refused"),
        (Phase.DOT, b"554 5.7.0 Too many messages sent today\r\n", "quota"),
        (Phase.DOT, b"550 5.1.90 You've reached your daily limit for recipients\r\n", "quota"),
        (Phase.RCPT, b"550 a.test has exceeded the max emails per hour (150/150)\r\n", "quota"),
        (Phase.RCPT, b"550 receives at most 5 messages per day\r\n", "recipient_refused"),
        (Phase.DATA, b"503 5.5.1 RCPT first\r\n", "command_refused"),
        (Phase.DATA, b"502 5.5.1 not implemented\r\n", "command_refused"),
        (Phase.MAIL, b"503 AUTH first\r\n", "command_refused"),
        (Phase.RCPT, b"503 5.5.1 MAIL first\r\n", "command_refused"),
        (Phase.RCPT, b"500 5.5.2 line too long\r\n", "recipient_refused"),
        (Phase.RCPT, b"501 5.1.3 bad syntax\r\n", "recipient_refused"),
        (Phase.DOT, b"450 4.7.26 Unauthenticated email\r\n", "content_temporary"),
        (Phase.QUIT, b"550 what\r\n", "protocol_error"),
        (Phase.RESET, b"450 what\r\n", "protocol_error"),
        (Phase.DATA, b"250 what\r\n", "protocol_error"),
    ],
)
def test_a_reply_means_the_same_everywhere(phase, answer, cause):
    assert cause_of(phase, read(answer)) is Cause(cause)


@pytest.mark.parametrize(
    ("line", "size", "announces"),
    [
        ("SIZE 1000", 1000, True),
        ("SIZE", None, True),
        ("SIZE 0", None, True),
        ("SIZE many", None, True),
        ("SIZE 99999999999999999999999", None, True),
        ("HELP", None, False),
        ("", None, False),
    ],
)
def test_a_size_limit_is_read(line, size, announces):
    found = capabilities_of(Reply(250, ("mx", line)))
    assert (found.size, found.announces_size) == (size, announces)


def test_mechanisms_of_several_lines_are_joined():
    found = capabilities_of(Reply(250, ("mx", "auth plain", "AUTH=LOGIN", "Auth PLAIN xoauth2")))
    assert found.auth == ("PLAIN", "LOGIN", "XOAUTH2")
