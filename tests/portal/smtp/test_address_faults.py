"""Which refusals say that no mail to the address can arrive, and which say something else."""

import pytest

from portal.smtp.address_faults import AddressFault, address_fault
from portal.smtp.replies import Reply
from portal.smtp.values import Failure, Phase
from portal.smtp.verdicts import cause_of

NOBODY = AddressFault.NO_SUCH_MAILBOX
DISABLED = AddressFault.MAILBOX_DISABLED
DOMAIN = AddressFault.NO_SUCH_DOMAIN
GMAIL = (
    "550 5.1.1 The email account that you tried to reach does not exist. Please try "
    "double-checking the recipient's email address for typos or unnecessary spaces. Learn more "
    "at https://support.google.com/mail/?p=NoSuchUser a1-20020a05sor - gsmtp"
)


def answered(phase: Phase, line: str) -> Failure:
    code, _, text = line.partition(" ")
    reply = Reply(int(code), (text,))
    return Failure(
        phase, cause_of(phase, reply), int(code), reply.enhanced_code, reply.text or None
    )


ABOUT_THE_ADDRESS = [
    (Phase.RCPT, "550 5.1.1 who", NOBODY),
    (Phase.RCPT, GMAIL, NOBODY),
    (Phase.RCPT, "550 5.1.1 <x@y.z>: Recipient address rejected: User unknown in table", NOBODY),
    (Phase.RCPT, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", DOMAIN),
    (Phase.RCPT, "553 5.1.3 not a valid RFC 5321 address", NOBODY),
    (Phase.RCPT, "551 5.1.6 has moved", NOBODY),
    (Phase.RCPT, "550 no such user here", NOBODY),
    (Phase.RCPT, "550 User not found: ann@x.test", NOBODY),
    (Phase.RCPT, "550 Mailbox not found", NOBODY),
    (Phase.RCPT, "550 5.5.0 Invalid recipient", NOBODY),
    (Phase.RCPT, "550 sorry, no mailbox here by that name", NOBODY),
    (Phase.RCPT, "550 <sender@x.test>: User unknown", NOBODY),
    (Phase.DOT, "554 delivery error: dd This user doesn't have a yahoo.com account", NOBODY),
    (Phase.DOT, "550 5.1.1 who", NOBODY),
    (Phase.RCPT, "550 5.2.1 The email account that you tried to reach is disabled", DISABLED),
    (Phase.DOT, "554 30 Sorry, your message was not taken. This mailbox is disabled", DISABLED),
    (Phase.RCPT, "550 Account is inactive", DISABLED),
    (Phase.RCPT, "550 5.1.2 Host unknown", DOMAIN),
    (Phase.RCPT, "556 5.1.10 null MX", DOMAIN),
    (Phase.RCPT, "556 does not accept mail", DOMAIN),
]  # fmt: skip

ABOUT_SOMETHING_ELSE = [
    (Phase.RCPT, "450 4.1.1 unknown user"),
    (Phase.RCPT, "450 4.2.1 mailbox disabled"),
    (Phase.RCPT, "550 no"),
    (Phase.RCPT, "550 Requested action not taken: mailbox unavailable"),
    (Phase.RCPT, "553 sorry"),
    (Phase.RCPT, "551 User not local"),
    (Phase.RCPT, "550 5.7.1 refused by policy"),
    (Phase.RCPT, "550 5.7.1 no such user"),
    (Phase.RCPT, "550 5.4.1 Recipient address rejected: Access denied"),
    (Phase.RCPT, "554 5.7.1 <x@y.test>: Relay access denied"),
    (Phase.RCPT, "550 5.1.1 Relaying denied: unknown user"),
    (Phase.RCPT, "550 5.2.1 The user is receiving mail at a rate that prevents more"),
    (Phase.RCPT, "552 5.2.2 mailbox full"),
    (Phase.RCPT, "550 Mailbox is full"),
    (Phase.RCPT, "550 5.1.1 sender address rejected: user unknown"),
    (Phase.RCPT, "550 5.1.8 Sender domain does not exist"),
    (Phase.RCPT, "550 Sender domain does not exist"),
    (Phase.RCPT, "550 Domain does not exist"),
    (Phase.RCPT, "550 Your account is disabled"),
    (Phase.RCPT, "550 this account is disabled for sending"),
    (Phase.RCPT, "550 unknown user, blocked using zen.dnsbl.example"),
    (Phase.RCPT, "550 5.4.5 Daily sending quota exceeded"),
    (Phase.RCPT, "550 <no-such-user@x.test>: no"),
    (Phase.RCPT, "550 5.6.7 SMTPUTF8 needed"),
    (Phase.RCPT, "501 5.5.4 syntax error"),
    (Phase.MAIL, "550 5.1.1 unknown user"),
    (Phase.AUTH, "550 5.1.1 unknown user"),
    (Phase.DOT, "554 5.6.0 spam"),
    (Phase.DOT, "554 DT:SPM 163 smtp3"),
    (Phase.DOT, "552 5.3.4 too big"),
]


@pytest.mark.parametrize(("phase", "line", "fault"), ABOUT_THE_ADDRESS)
def test_a_refusal_that_names_the_mailbox_tells_of_the_address(
    phase: Phase, line: str, fault: AddressFault
) -> None:
    assert address_fault(answered(phase, line)) is fault


@pytest.mark.parametrize(("phase", "line"), ABOUT_SOMETHING_ELSE)
def test_any_other_refusal_tells_nothing_of_the_address(phase: Phase, line: str) -> None:
    assert address_fault(answered(phase, line)) is None


def test_a_failure_without_a_reply_tells_nothing_of_the_address() -> None:
    assert address_fault(Failure(Phase.RCPT, "timeout")) is None
