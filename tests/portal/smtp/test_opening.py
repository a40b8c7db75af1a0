"""Opening a session against real sockets: each fault, its cause, and what was not said."""

import socket
import ssl
from collections.abc import Iterator

import pytest

from portal.destinations import Forbidden, NameNotFound
from portal.smtp.blocking import open_session
from portal.smtp.causes import Cause
from portal.smtp.values import (
    Encryption,
    Phase,
)
from tests import smtp_certificates
from tests.portal.smtp.failures import of
from tests.smtp_client import ACCOUNTS, USER, FixedGuard, Watching, bundle_for, failure_of
from tests.smtp_server import (
    SmtpServer,
    drip,
    drop,
    endless,
    hang,
    long_line,
    raw,
    read_body,
    reply,
    then,
)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port where a SYN is never answered: its queue is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("encryption", "phases"),
    [
        (None, "dns connect greeting ehlo auth"),
        ("tls", "dns connect tls greeting ehlo auth"),
        ("starttls", "dns connect greeting ehlo starttls tls ehlo auth"),
    ],
)
def test_every_step_is_told_in_its_order(encryption, phases):
    watching = Watching()
    with SmtpServer(tls=encryption, auth=ACCOUNTS) as server:
        bundle = bundle_for(server, allow_clear_login=True)
        session = open_session(bundle, guard=FixedGuard(), observer=watching)
        session.close()
    assert [step.phase for step in watching.steps] == [Phase(p) for p in phases.split()]
    assert all(step.ok and step.failure is None for step in watching.steps)


def test_what_was_agreed_in_tls_can_be_read():
    with SmtpServer(tls="tls") as server:
        session = open_session(bundle_for(server), guard=FixedGuard())
        assert session.tls
        assert session.tls.version in ("TLSv1.2", "TLSv1.3")
        assert session.tls.verified
        assert "smtp.acme.test" in session.tls.sans
        assert session.ip == "127.0.0.1"
        session.close()


@pytest.mark.parametrize("reason", ["port", "address", "spelling"])
def test_a_forbidden_destination_is_never_connected_to(reason):
    with SmtpServer() as server:
        failure = failure_of(bundle_for(server), FixedGuard(problem=Forbidden(reason)))
        assert server.connections == 0
    assert (failure.phase, failure.cause) == (Phase.POLICY, Cause.FORBIDDEN_DESTINATION)


@pytest.mark.parametrize(
    ("temporary", "cause"),
    [(False, Cause.NAME_NOT_FOUND), (True, Cause.NAME_LOOKUP_FAILED)],
)
def test_a_name_without_an_address_fails_in_the_look_up(temporary, cause):
    with SmtpServer() as server:
        guard = FixedGuard(problem=NameNotFound("smtp.acme.test", temporary))
        failure = failure_of(bundle_for(server), guard)
    assert (failure.phase, failure.cause) == (Phase.DNS, cause)


def test_a_closed_port_is_refused(closed_port):
    with SmtpServer() as server:
        failure = failure_of(bundle_for(server, port=closed_port))
    assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CONNECT_REFUSED)


def test_a_port_that_never_answers_times_out(full_backlog):
    with SmtpServer() as server:
        failure = failure_of(bundle_for(server, port=full_backlog, connect_timeout=0.3))
    assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CONNECT_TIMEOUT)


def test_a_dead_first_address_leaves_time_for_the_second():
    guard = FixedGuard(("127.0.0.2", "127.0.0.1"))
    watching = Watching()
    with SmtpServer() as server:
        session = open_session(bundle_for(server), guard=guard, observer=watching)
        assert session.ip == "127.0.0.1"
        session.close()
    assert watching.steps[1].detail == "127.0.0.2: connect_refused; 127.0.0.1"


def test_every_dead_address_is_named(closed_port):
    guard = FixedGuard(("127.0.0.2", "127.0.0.1"))
    with SmtpServer() as server:
        failure = failure_of(bundle_for(server, port=closed_port), guard)
    assert failure.detail == "127.0.0.2: connect_refused; 127.0.0.1: connect_refused"


GREETINGS = {
    "silence": (hang(), Cause.NO_GREETING, None),
    "a drop": (drop(), Cause.NO_GREETING, None),
    "a byte now and then": (drip(b"220 " + b"x" * 400, every=0.05), Cause.TIMEOUT, None),
    "lines without end": (endless(220), Cause.REPLY_TOO_LONG, None),
    "a line of 20 kB": (long_line(), Cause.REPLY_TOO_LONG, None),
    "4 kB and a drip": (then(raw(b"x" * 4097), hang()), Cause.REPLY_TOO_LONG, None),
    "421": (reply("421 4.3.2 too busy"), Cause.BUSY, 421),
    "450": (reply("450 later"), Cause.BUSY, 450),
    "554": (reply("554 5.7.1 not you"), Cause.GREETING_REFUSED, 554),
    "another 2xx": (reply("250 what"), Cause.PROTOCOL_ERROR, 250),
    "no code": (raw(b"hello there\r\n"), Cause.PROTOCOL_ERROR, None),
    "8-bit text": (raw(b"220 caf\xe9\r\n"), Cause.PROTOCOL_ERROR, 220),
    "NUL bytes": (raw(b"220 a\x00b\r\n"), Cause.PROTOCOL_ERROR, 220),
    "HTTP": (raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Cause.PROTOCOL_ERROR, None),
    "a reply too many": (raw(b"220 hi\r\n250 and ok\r\n"), Cause.PROTOCOL_ERROR, 250),
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_a_greeting_that_is_not_one_fails_in_its_phase(greeting):
    behaviour, cause, code = GREETINGS[greeting]
    with SmtpServer(script={"greeting": behaviour}) as server:
        failure = failure_of(bundle_for(server, command_timeout=0.4))
    assert (failure.phase, failure.cause, failure.code) == (Phase.GREETING, cause, code)
    assert failure.ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("step", "answer", "phase"),
    [
        ("ehlo", b"250 smtp.acme.test\r\n554 no\r\n", Phase.EHLO),
        ("auth", b"235 welcome\r\n250 ok\r\n", Phase.AUTH),
    ],
)
def test_an_answer_too_many_behind_the_last_one_opens_no_session(step, answer, phase):
    accounts = ACCOUNTS if step == "auth" else None
    with SmtpServer(auth=accounts, script={step: raw(answer)}) as server:
        failure = failure_of(bundle_for(server, allow_clear_login=True))
    assert (failure.phase, failure.cause) == (phase, Cause.PROTOCOL_ERROR)


PLAIN_WORDS = [
    (b"250 ok\r\n", Cause.TLS_WRONG_VERSION),
    (b"454 4.7.0 not now\r\n", Cause.TLS_WRONG_VERSION),
    (b"554 5.7.1 no\r\n", Cause.TLS_WRONG_VERSION),
    (b"421 4.3.2 closing\r\n", Cause.TLS_WRONG_VERSION),
    (b"hello there\r\n", Cause.TLS_WRONG_VERSION),
    (b"\r\n\r\n\r\n", Cause.TLS_WRONG_VERSION),
    (b"\0" * 64, Cause.TLS_WRONG_VERSION),
    (b"\xff" * 64, Cause.TLS_WRONG_VERSION),
    (b"x" * 70_000, Cause.TLS_WRONG_VERSION),
    (b"\x15\x03\x01\x00\x02\x02\x28", Cause.TLS_OLD_PROTOCOL),
    (b"\x15\x03\x01\x00\x02\x02\x50", Cause.TLS_FAILED),
    (b"\x16\x03", Cause.TLS_FAILED),
]


@pytest.mark.parametrize(("words", "cause"), PLAIN_WORDS)
def test_whatever_is_said_in_place_of_a_handshake_is_a_fault_of_tls(words, cause):
    script = {"handshake": then(read_body(300), raw(words), drop())}
    with SmtpServer(tls="starttls", auth=ACCOUNTS, script=script) as server:
        failure = failure_of(bundle_for(server))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.TLS, cause)


def test_bytes_that_are_not_ascii_are_kept_escaped():
    with SmtpServer(script={"greeting": raw(b"220 a\x00\xff\x1b[1mb\r\n")}) as server:
        assert failure_of(bundle_for(server)).reply == r"a\x00\xff\x1b[1mb"


def test_a_dripping_server_meets_the_deadline_of_the_whole_opening():
    slow = drip(b"250-a\r\n" * 90 + b"250 b\r\n", every=0.02)
    with SmtpServer(script={"ehlo": slow}) as server:
        failure = failure_of(bundle_for(server, command_timeout=0.4))
    assert (failure.phase, failure.cause) == (Phase.EHLO, Cause.TIMEOUT)


def test_helo_is_tried_where_nothing_needs_ehlo():
    with SmtpServer(script={"ehlo": reply("502 unknown")}) as server:
        session = open_session(bundle_for(server), guard=FixedGuard())
        assert session.send(USER, "bob@acme.test", b"Subject: hi\r\n\r\n").code == 250
        assert [c.split()[0] for c in server.commands[:2]] == ["EHLO", "HELO"]
        session.close()


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_helo_is_not_tried_where_a_login_is_needed(encryption):
    script = {"ehlo": reply("502 5.5.1 unknown")}
    with SmtpServer(tls=encryption, auth=ACCOUNTS, script=script) as server:
        failure = failure_of(bundle_for(server))
        assert not any(command.startswith("HELO") for command in server.commands)
    assert (failure.phase, failure.cause) == (Phase.EHLO, Cause.EHLO_REFUSED)


def test_a_refused_name_is_an_ehlo_failure():
    script = {"ehlo": reply("550 MI:NHD bad name"), "helo": reply("550 MI:NHD bad name")}
    with SmtpServer(script=script) as server:
        assert failure_of(bundle_for(server)).cause == Cause.EHLO_REFUSED


def test_encryption_is_never_given_up_where_starttls_is_missing():
    with SmtpServer(auth=ACCOUNTS) as server:
        bundle = bundle_for(server, encryption=Encryption.STARTTLS)
        failure = failure_of(bundle)
        assert server.auth_bytes == 0
        assert [command.split()[0] for command in server.commands] == ["EHLO"]
    assert (failure.phase, failure.cause) == (Phase.STARTTLS, Cause.STARTTLS_MISSING)


@pytest.mark.parametrize(
    "answer", ["454 4.7.0 TLS not available", "502 5.5.1 no", "421 4.3.2 closing"]
)
def test_a_refused_starttls_ends_the_session(answer):
    script = {"starttls": reply(answer)}
    with SmtpServer(tls="starttls", auth=ACCOUNTS, script=script) as server:
        failure = failure_of(bundle_for(server))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.STARTTLS, Cause.STARTTLS_REFUSED)
    assert failure.code == int(answer[:3])


def test_what_was_injected_behind_starttls_is_void():
    injected = b"220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n235 welcome\r\n"
    script = {"starttls": raw(injected)}
    with SmtpServer(tls="starttls", script=script) as server:
        session = open_session(bundle_for(server), guard=FixedGuard())
        assert session.capabilities.auth == ()
        assert session.capabilities.lines[0] == "smtp.acme.test"
        session.close()


def test_capabilities_from_before_tls_are_forgotten():
    bare = reply("250 smtp.acme.test")
    with SmtpServer(tls="starttls", auth=ACCOUNTS, script={"ehlo": [None, bare]}) as server:
        failure = failure_of(bundle_for(server))
    assert (failure.phase, failure.cause) == (Phase.AUTH, Cause.AUTH_MISSING)


CERTIFICATES = {
    "expired": (smtp_certificates.expired, Cause.TLS_EXPIRED, "localhost"),
    "wrong name": (smtp_certificates.wrong_name, Cause.TLS_WRONG_NAME, "mail.other.test"),
    "unknown CA": (smtp_certificates.unknown_authority, Cause.TLS_UNTRUSTED, "localhost"),
    "self-signed": (smtp_certificates.self_signed, Cause.TLS_UNTRUSTED, "smtp.acme.test"),
}


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate_is_named_and_no_login_byte_is_sent(encryption, kind):
    make, cause, subject = CERTIFICATES[kind]
    with SmtpServer(tls=encryption, auth=ACCOUNTS, certificate=make()) as server:
        failure = failure_of(bundle_for(server))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.TLS, cause)
    assert f"certificate for {subject}; names" in failure.detail
    assert "valid until " in failure.detail


def test_an_authority_that_is_over_is_told_from_a_certificate_that_is():
    old, expired = smtp_certificates.expired_authority(), smtp_certificates.expired()
    with SmtpServer(tls="tls", auth=ACCOUNTS, certificate=old) as server:
        failure = failure_of(bundle_for(server))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.TLS, Cause.TLS_AUTHORITY_EXPIRED)
    assert "; CA certificate Old CA; ended 20" in failure.detail
    diagnosis = of(failure)
    assert "CA certificate that was pasted here is out of date" in str(diagnosis.say)
    assert "paste it in place of this one" in str(diagnosis.cure)
    with SmtpServer(tls="tls", certificate=expired) as server:
        assert failure_of(bundle_for(server, ca=server.ca + old.ca)).cause == Cause.TLS_EXPIRED


def test_a_bad_certificate_is_taken_where_verification_is_off():
    certificate = smtp_certificates.self_signed()
    with SmtpServer(tls="tls", auth=ACCOUNTS, certificate=certificate) as server:
        session = open_session(bundle_for(server, verify=False, ca=None), guard=FixedGuard())
        assert session.tls
        assert not session.tls.verified
        session.close()


def test_a_certificate_that_was_pasted_itself_is_trusted():
    certificate = smtp_certificates.self_signed()
    pem = certificate.chain.decode().partition("-----END PRIVATE KEY-----\n")[2]
    with SmtpServer(tls="tls", certificate=certificate) as server:
        open_session(bundle_for(server, ca=pem), guard=FixedGuard()).close()
        assert server.handshakes == 1


def test_a_pasted_authority_that_is_none_is_said_so():
    with SmtpServer(tls="tls", auth=ACCOUNTS) as server:
        failure = failure_of(bundle_for(server, ca="-----BEGIN nonsense"))
    assert failure.cause == Cause.TLS_UNTRUSTED
    assert "PEM" in (failure.detail or "")


def test_the_certificate_is_checked_against_the_name_and_not_the_address():
    with SmtpServer(tls="tls") as server:
        assert failure_of(bundle_for(server, server="mail.b.test")).cause == Cause.TLS_WRONG_NAME
        open_session(bundle_for(server, server="127.0.0.1"), guard=FixedGuard()).close()


def test_old_tls_is_refused():
    with SmtpServer(tls="tls", newest_tls=ssl.TLSVersion.TLSv1_1) as server:
        failure = failure_of(bundle_for(server))
    assert (failure.phase, failure.cause) == (Phase.TLS, Cause.TLS_OLD_PROTOCOL)


def test_tls_on_a_plain_port_is_recognised():
    with SmtpServer() as server:
        failure = failure_of(bundle_for(server, encryption=Encryption.TLS))
    assert (failure.phase, failure.cause) == (Phase.TLS, Cause.TLS_WRONG_VERSION)


def test_plain_text_on_a_tls_port_hears_no_greeting():
    with SmtpServer(tls="tls") as server:
        bundle = bundle_for(server, encryption=Encryption.STARTTLS, command_timeout=0.3)
        failure = failure_of(bundle)
    assert (failure.phase, failure.cause) == (Phase.GREETING, Cause.NO_GREETING)


@pytest.mark.parametrize(
    ("behaviour", "cause"), [(drop(), Cause.TLS_FAILED), (hang(), Cause.TIMEOUT)]
)
def test_a_broken_off_handshake_fails_in_tls(behaviour, cause):
    with SmtpServer(tls="starttls", auth=ACCOUNTS, script={"handshake": behaviour}) as server:
        failure = failure_of(bundle_for(server, connect_timeout=0.3))
        assert server.auth_bytes == 0
    assert (failure.phase, failure.cause) == (Phase.TLS, cause)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ehlo_name": "portal.acme.test"}, "portal.acme.test"),
        ({"ehlo_name": "[192.0.2.1]"}, "[192.0.2.1]"),
        ({}, "acme.test"),
        ({"ehlo_name": "a\r\nMAIL FROM:<b>"}, "acme.test"),
        ({"from_address": "ann@bücher.test"}, "[127.0.0.1]"),
    ],
)
def test_ehlo_says_a_name_that_is_one(changes, name):
    with SmtpServer() as server:
        open_session(bundle_for(server, **changes), guard=FixedGuard()).close()
        assert server.commands[0] == f"EHLO {name}"
