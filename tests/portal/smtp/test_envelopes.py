"""Several recipients, sizes and addresses against real sockets."""

import pytest

from portal.smtp.causes import Cause
from portal.smtp.values import Phase, Refused, Unknown
from tests.portal.smtp.sending import BOB, MAIL, PIPELINING_OR_NOT, seen, session_with
from tests.smtp_client import USER
from tests.smtp_server import SmtpServer, drop, reply


@pytest.mark.fault(24)
@PIPELINING_OR_NOT
def test_each_recipient_has_its_own_outcome(extensions):
    script = {
        "rcpt:later@globex.test": reply("451 4.7.1 grey"),
        "rcpt:nobody@globex.test": reply("550 5.1.1 who"),
    }
    with SmtpServer(script=script, extensions=extensions) as server:
        with session_with(server) as session:
            people = (BOB, "later@globex.test", "nobody@globex.test")
            taken, later, refused = session.send_to(USER, people, MAIL)
        assert [message.recipients for message in server.messages] == [(BOB,)]
    assert seen(taken)[0] == "accepted"
    assert seen(later) == ("refused", Phase.RCPT, Cause.RECIPIENT_TEMPORARY)
    assert seen(refused) == ("refused", Phase.RCPT, Cause.RECIPIENT_REFUSED)


@pytest.mark.fault(25)
@PIPELINING_OR_NOT
def test_recipients_beyond_the_limit_go_in_the_next_transaction(extensions):
    people = tuple(f"u{number}@globex.test" for number in range(250))
    full = reply("452 4.5.3 too many recipients")
    script = {"rcpt": [*[None] * 150, *[full] * 100]}
    with SmtpServer(script=script, extensions=extensions) as server:
        with session_with(server) as session:
            outcomes = session.send_to(USER, people, MAIL)
        assert [len(message.recipients) for message in server.messages] == [150, 100]
    assert {seen(outcome)[0] for outcome in outcomes} == {"accepted"}


@pytest.mark.parametrize("fault", [drop(), reply("421 4.3.2 closing")])
@PIPELINING_OR_NOT
def test_those_who_were_taken_are_told_when_the_next_transaction_finds_the_session_dead(
    extensions, fault
):
    script = {
        "rcpt:later@globex.test": [reply("452 4.5.3 too many recipients")],
        "rset": fault,
        "mail": [None, fault],
    }
    with SmtpServer(script=script, extensions=extensions) as server:
        with session_with(server) as session:
            taken, later = session.send_to(USER, (BOB, "later@globex.test"), MAIL)
            assert not session.usable
        assert [message.recipients for message in server.messages] == [(BOB,)]
    assert seen(taken)[0] == "accepted"
    assert seen(later) == ("refused", Phase.RCPT, Cause.RECIPIENT_TEMPORARY)


def test_an_unknown_outcome_holds_for_those_who_were_taken():
    script = {"rcpt:nobody@globex.test": reply("550 5.1.1 who"), "dot": drop()}
    with SmtpServer(script=script) as server, session_with(server) as session:
        taken, refused = session.send_to(USER, (BOB, "nobody@globex.test"), MAIL)
    assert isinstance(taken, Unknown)
    assert isinstance(refused, Refused)


def test_a_message_over_the_announced_size_is_not_even_tried():
    with SmtpServer(extensions=("SIZE 100",)) as server:
        with session_with(server) as session:
            outcome = session.send(USER, BOB, MAIL + b"x" * 100)
            assert seen(outcome) == ("refused", Phase.MAIL, Cause.SIZE_EXCEEDED)
            assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        mails = [command for command in server.commands if command.startswith("MAIL")]
    assert mails == [f"MAIL FROM:<{USER}> SIZE={len(MAIL)}"]


def test_8_bit_content_is_announced():
    with SmtpServer(extensions=("8BITMIME",)) as server:
        with session_with(server) as session:
            session.send(USER, BOB, MAIL + "grüße\r\n".encode())
        assert f"MAIL FROM:<{USER}> BODY=8BITMIME" in server.commands


@pytest.mark.parametrize(
    ("sender", "recipient", "phase"),
    [(USER, "josé@globex.test", Phase.RCPT), ("josé@acme.test", BOB, Phase.MAIL)],
)
def test_letters_beyond_ascii_need_smtputf8(sender, recipient, phase):
    with SmtpServer(extensions=()) as server, session_with(server) as session:
        outcome = session.send(sender, recipient, MAIL)
        assert seen(outcome) == ("refused", phase, Cause.UTF8_NEEDED)
    with SmtpServer(extensions=("SMTPUTF8",)) as server:
        with session_with(server) as session:
            assert seen(session.send(sender, recipient, MAIL))[0] == "accepted"
        assert f"MAIL FROM:<{sender}> SMTPUTF8" in server.commands


def test_a_domain_beyond_ascii_goes_out_as_punycode():
    with SmtpServer(extensions=()) as server:
        with session_with(server) as session:
            assert seen(session.send(USER, "ann@bücher.test", MAIL))[0] == "accepted"
        assert server.messages[0].recipients == ("ann@xn--bcher-kva.test",)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test>\r\nRCPT TO:<evil@x.test",
        "a@b.test> NOTIFY=NEVER",
        "a b@c.test",
        "a\x00@b.test",
        "a@b.test\n",
        "no-at-sign",
        "",
    ],
)
def test_an_address_cannot_carry_a_command(address):
    with SmtpServer() as server:
        with session_with(server) as session:
            outcome = session.send(USER, address, MAIL)
            assert seen(outcome) == ("refused", Phase.RCPT, Cause.RECIPIENT_REFUSED)
            assert session.usable
        assert [command.split()[0] for command in server.commands] == ["EHLO", "QUIT"]


def test_quoted_and_strange_local_parts_are_written():
    with SmtpServer() as server, session_with(server) as session:
        for address in ('"a b"@c.test', "o'neil+x#&y@c.test", '"a>b"@c.test', "a@[192.0.2.1]"):
            assert seen(session.send("", address, MAIL))[0] == "accepted"
