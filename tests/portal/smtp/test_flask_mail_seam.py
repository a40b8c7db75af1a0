"""What Flask-Mail's own connection does wrong, done right on our client."""

from collections.abc import Iterator
from email.mime.text import MIMEText

import pytest
from flask import Flask
from flask_mail import Attachment, Mail, Message

from portal.smtp.causes import Cause
from portal.smtp.flask_mail_seam import NotAccepted, NotSupported, SenderMail, WrongSender
from portal.smtp.message import UnsafeMessage
from portal.smtp.values import Refused, SessionFailed, Unknown
from tests import smtp_certificates
from tests.smtp_client import SECRET, USER, FixedGuard, bundle_for
from tests.smtp_server import SmtpServer, drop, hang, reply

BOB = "bob@globex.test"


@pytest.fixture
def host_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture(autouse=True)
def application(host_server: SmtpServer) -> Iterator[Flask]:
    """An application whose own Flask-Mail points to the host's server, with everything shown."""
    application = Flask("portal")
    application.config |= {
        "MAIL_SERVER": host_server.host,
        "MAIL_PORT": host_server.port,
        "MAIL_DEFAULT_SENDER": "host@platform.test",
        "MAIL_DEBUG": True,
    }
    Mail(application)
    with application.app_context():
        yield application


def sender_for(server: SmtpServer, *, suppress: bool = False, **changes: object) -> SenderMail:
    return SenderMail(bundle_for(server, **changes), guard=FixedGuard(), suppress=suppress)


def message(**changes: object) -> Message:
    values = {"subject": "Hello", "recipients": [BOB], "body": "Hello Bob", "sender": USER}
    return Message(**(values | changes))


def test_a_message_goes_out_by_the_senders_own_server(host_server):
    with SmtpServer(tls="starttls", auth={USER: SECRET}) as server:
        sender_for(server).send(message(html="<p>Hello</p>", reply_to="ann@acme.test"))
        received = server.messages[0]
    assert (received.mail_from, received.recipients) == (USER, (BOB,))
    assert received.authenticated_as == USER
    assert received.message["From"] == f"Acme portal <{USER}>"
    assert received.message["Reply-To"] == "ann@acme.test"
    assert host_server.connections == 0


def test_a_missing_sender_does_not_become_the_hosts(host_server):
    with SmtpServer() as server:
        with pytest.raises(WrongSender):
            sender_for(server).send(message(sender=None))
        assert server.messages == host_server.messages == []


@pytest.mark.parametrize(
    "sender",
    [
        ("ceo@bank.example> ,", USER),
        ("Ann", "ceo@bank.example"),
        f"ceo@bank.example, <{USER}>",
        f"{USER} <ceo@bank.example>",
    ],
)
def test_a_display_name_cannot_change_who_sends(sender):
    with SmtpServer() as server:
        with pytest.raises(WrongSender):
            sender_for(server).send(message(sender=sender))
        assert server.messages == []


def test_a_display_name_with_a_comma_stays_one_name():
    with SmtpServer() as server:
        sender_for(server).send(message(sender=("Acme, Inc.", USER)))
        addresses = server.messages[0].message["From"].addresses
    assert [(a.display_name, a.addr_spec) for a in addresses] == [("Acme, Inc.", USER)]


def test_the_envelope_sender_is_the_senders_own():
    with SmtpServer() as server:
        mail = sender_for(server, envelope_sender="bounces@acme.test")
        mail.send(message())
        with mail.connect() as connection:
            connection.send(message(), envelope_from=USER)
            with pytest.raises(WrongSender):
                connection.send(message(), envelope_from="ceo@bank.example")
        assert [m.mail_from for m in server.messages] == ["bounces@acme.test", USER]


def test_a_silent_server_does_not_hold_the_caller():
    script = {"greeting": hang()}
    with SmtpServer(script=script) as server, pytest.raises(SessionFailed) as raised:
        sender_for(server, command_timeout=0.2).send(message())
    assert raised.value.failure.cause == Cause.NO_GREETING


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_gets_no_password(encryption):
    certificate = smtp_certificates.self_signed()
    with SmtpServer(tls=encryption, auth={USER: SECRET}, certificate=certificate) as server:
        with pytest.raises(SessionFailed) as raised:
            sender_for(server).send(message())
        assert server.auth_bytes == 0
    assert raised.value.failure.cause == Cause.TLS_UNTRUSTED


def test_a_failing_quit_is_no_reason_to_send_again():
    with SmtpServer(script={"quit": drop()}) as server:
        sender_for(server).send(message())
        assert len(server.messages) == 1


def test_a_server_that_closes_after_each_message_gets_each_once():
    with SmtpServer(script={"mail": [None, drop(), None, reply("421 bye")]}) as server:
        with sender_for(server).connect() as connection:
            for number in range(3):
                connection.send(message(subject=f"Number {number}"))
        subjects = [received.message["Subject"] for received in server.messages]
    assert subjects == ["Number 0", "Number 1", "Number 2"]
    assert server.connections == 3


def test_one_refused_recipient_is_told_and_the_others_get_their_mail():
    people = [BOB, "nobody@globex.test"]
    with SmtpServer(script={"rcpt:nobody@globex.test": reply("550 5.1.1 who")}) as server:
        with pytest.raises(NotAccepted) as raised:
            sender_for(server).send(message(recipients=people))
        assert [received.recipients for received in server.messages] == [(BOB,)]
        assert server.messages[0].message["To"] == BOB
    refused = raised.value.outcomes["nobody@globex.test"]
    assert isinstance(refused, Refused)
    assert refused.failure.cause == Cause.RECIPIENT_REFUSED


def test_no_answer_after_the_dot_is_told_as_unknown():
    with SmtpServer(script={"dot": drop()}) as server, pytest.raises(NotAccepted) as raised:
        sender_for(server).send(message())
    assert isinstance(raised.value.outcomes[BOB], Unknown)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: evil@x.test"},
        {"subject": "Hello\n"},
        {"subject": "Hello =?utf-8?q?=0ABcc:_evil@x.test?="},
        {"recipients": [f"{BOB}\r\nBcc: evil@x.test"]},
        {"reply_to": "ann@acme.test\nBcc: evil@x.test"},
        {"sender": ("Ann\r\nBcc: evil", USER)},
        {"extra_headers": {"From": "ceo@bank.example"}},
        {"extra_headers": {"X-Gatepost-Kind": "a\r\nBcc: evil@x.test"}},
        {"extra_headers": {"X-Gatepost-Kind\r\nBcc": "evil@x.test"}},
    ],
)
def test_no_field_can_add_a_header_or_a_recipient(changes):
    with SmtpServer() as server:
        with pytest.raises(UnsafeMessage):
            sender_for(server).send(message(**changes))
        assert server.messages == []


@pytest.mark.parametrize(
    "changes",
    [
        {"cc": ["ann@acme.test"]},
        {"bcc": ["ann@acme.test"]},
        {"attachments": [Attachment("a.txt", "text/plain", "a")]},
        {"alts": {"calendar": "BEGIN:VCALENDAR"}},
        {"recipients": []},
    ],
)
def test_what_a_notification_does_not_hold_is_refused(changes):
    with SmtpServer() as server, pytest.raises(NotSupported):
        sender_for(server).send(message(**changes))


def test_long_lines_are_broken():
    with SmtpServer() as server:
        long = "word " * 600
        sender_for(server).send(message(body=long, html=f"<p>{'x' * 2700}</p>"))
        received = server.messages[0]
    assert max(len(line) for line in received.content.split(b"\r\n")) <= 998
    assert received.message.get_body(("plain",)).get_content().rstrip("\r\n") == long


def test_the_message_id_does_not_name_the_machine():
    first = message()
    with SmtpServer() as server:
        mail = sender_for(server)
        mail.send(first)
        mail.send(first)
        ids = [received.message["Message-ID"] for received in server.messages]
    assert ids[0].endswith("@acme.test>")
    assert ids == [first.msgId] * 2


def test_the_password_is_not_printed(capfd):
    with SmtpServer(tls="tls", auth={USER: SECRET}) as server:
        mail = sender_for(server)
        mail.send(message())
        assert SECRET not in repr(vars(mail.state))
    assert capfd.readouterr() == ("", "")


def test_messages_are_recorded_whether_they_are_sent_or_not():
    with SmtpServer() as server:
        mail = sender_for(server)
        quiet = sender_for(server, suppress=True)
        with mail.record_messages() as outbox:
            mail.send(message(subject="Sent"))
            quiet.send(message(subject="Kept"))
        assert [recorded.subject for recorded in outbox] == ["Sent", "Kept"]
        assert [received.message["Subject"] for received in server.messages] == ["Sent"]


def test_what_nobody_got_is_not_recorded():
    with SmtpServer(script={"rcpt": reply("550 5.1.1 who")}) as server:
        mail = sender_for(server)
        with mail.record_messages() as outbox, pytest.raises(NotAccepted):
            mail.send(message())
    assert outbox == []


def test_a_suppressed_sender_opens_no_connection_and_still_checks():
    with SmtpServer() as server:
        quiet = sender_for(server, suppress=True)
        with pytest.raises(UnsafeMessage):
            quiet.send(message(subject="a\nb"))
        assert server.connections == 0


def test_the_stock_way_to_connect_is_closed():
    with SmtpServer() as server, pytest.raises(NotImplementedError):
        sender_for(server).connect().configure_host()


def test_utf8_text_elsewhere_in_the_process_is_encoded_as_python_does():
    assert MIMEText("grüße " * 300, _charset="utf-8")["Content-Transfer-Encoding"] == "base64"
