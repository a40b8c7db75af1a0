"""Transactions on a session against real sockets: what is accepted, refused and unknown."""

from time import sleep

import pytest

from portal.smtp.blocking import Session, open_session
from portal.smtp.causes import Cause
from portal.smtp.values import Accepted, Phase, SessionFailed
from tests.portal.smtp.sending import (
    BIG,
    BOB,
    MAIL,
    PIPELINING_OR_NOT,
    seen,
    session_with,
)
from tests.smtp_client import SECRET, USER, FixedGuard, Watching, bundle_for
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
    wait,
)


class LeaseLost(Exception):
    """What a caller raises before the dot."""


def refuse() -> None:
    raise LeaseLost


@pytest.mark.parametrize("encryption", [None, "starttls", "tls"])
def test_a_message_arrives_as_it_was_written(encryption):
    with SmtpServer(tls=encryption, auth={USER: SECRET}) as server:
        with session_with(server, allow_clear_login=True) as session:
            outcome = session.send(USER, BOB, MAIL)
        assert outcome == Accepted(250, "2.0.0 ok: queued as 1", "127.0.0.1")
        received = server.messages[0]
    assert (received.mail_from, received.recipients) == (USER, (BOB,))
    assert received.content == MAIL
    assert received.message["Subject"] == "hello"
    assert received.authenticated_as == USER
    assert received.encrypted is (encryption is not None)


@PIPELINING_OR_NOT
def test_many_messages_share_one_session(extensions):
    with SmtpServer(extensions=extensions) as server:
        with session_with(server) as session:
            for number in range(20):
                assert seen(session.send(USER, f"u{number}@globex.test", MAIL))[0] == "accepted"
                assert session.usable
        assert server.connections == 1
        assert len(server.messages) == 20
        assert "RSET" not in server.commands


@pytest.mark.parametrize(
    "content",
    [
        b"a: b\n\n.\nMAIL FROM:<evil@x.test>\n",
        b"a: b\r\n\r\nx\r\n.\rMAIL FROM:<evil@x.test>\r",
        b"a: b\r\r.\r\nQUIT\n.\r\n",
        b".\n.\r.\r\n..\r\n",
        b"x\n\r\n.\r",
        b"",
        b"no line end",
    ],
)
def test_nothing_in_a_message_ends_it_early(content):
    with SmtpServer() as server:
        with session_with(server) as session:
            assert seen(session.send(USER, BOB, content))[0] == "accepted"
            assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        first, second = server.messages
        assert not any("evil" in command for command in server.commands)
    flat = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if flat and not flat.endswith(b"\n"):
        flat += b"\n"
    assert first.content == flat.replace(b"\n", b"\r\n")
    assert second.content == MAIL


REFUSALS = {
    "mail 421": ("mail", reply("421 4.7.0 closing"), Phase.MAIL, Cause.BUSY, False),
    "mail 451": ("mail", reply("451 4.3.0 later"), Phase.MAIL, Cause.SENDER_TEMPORARY, True),
    "mail 550": ("mail", reply("550 5.7.60 not you"), Phase.MAIL, Cause.SENDER_REFUSED, True),
    "mail 552": ("mail", reply("552 5.3.4 too big"), Phase.MAIL, Cause.SIZE_EXCEEDED, True),
    "mail drop": ("mail", drop(), Phase.MAIL, Cause.CONNECTION_LOST, False),
    "mail hang": ("mail", hang(), Phase.MAIL, Cause.TIMEOUT, False),
    "rcpt 421": ("rcpt", reply("421 closing"), Phase.RCPT, Cause.BUSY, False),
    "rcpt 450": ("rcpt", reply("450 4.7.1 grey"), Phase.RCPT, Cause.RECIPIENT_TEMPORARY, True),
    "rcpt 550": ("rcpt", reply("550 5.1.1 who"), Phase.RCPT, Cause.RECIPIENT_REFUSED, True),
    "rcpt relay": ("rcpt", reply("554 5.7.1 Relay denied"), Phase.RCPT, Cause.RELAY_DENIED, True),
    "rcpt drop": ("rcpt", drop(), Phase.RCPT, Cause.CONNECTION_LOST, False),
    "rcpt hang": ("rcpt", hang(), Phase.RCPT, Cause.TIMEOUT, False),
    "rcpt drip": ("rcpt", drip(b"2" * 99, every=0.02), Phase.RCPT, Cause.TIMEOUT, False),
    "rcpt lines": ("rcpt", endless(250), Phase.RCPT, Cause.REPLY_TOO_LONG, False),
    "data 421": ("data", reply("421 closing"), Phase.DATA, Cause.BUSY, False),
    "data 451": ("data", reply("451 4.3.0 no"), Phase.DATA, Cause.CONTENT_TEMPORARY, True),
    "data 554": ("data", reply("554 5.7.1 no"), Phase.DATA, Cause.CONTENT_REFUSED, True),
    "data 250": ("data", reply("250 ok"), Phase.DATA, Cause.PROTOCOL_ERROR, False),
    "data drop": ("data", drop(), Phase.DATA, Cause.CONNECTION_LOST, False),
    "data NUL": ("data", raw(b"354 \0\r\n"), Phase.DATA, Cause.PROTOCOL_ERROR, False),
    "data junk": ("data", raw(b"\xff\xfe\r\n"), Phase.DATA, Cause.PROTOCOL_ERROR, False),
    "dot 421": ("dot", reply("421 closing"), Phase.DOT, Cause.BUSY, False),
    "dot 451": ("dot", reply("451 4.7.1 DT:SPM"), Phase.DOT, Cause.CONTENT_TEMPORARY, True),
    "dot 554": ("dot", reply("554 5.7.1 spam"), Phase.DOT, Cause.CONTENT_REFUSED, True),
    "dot 552": ("dot", reply("552 5.3.4 size"), Phase.DOT, Cause.SIZE_EXCEEDED, True),
    "dot quota": ("dot", reply("550 5.4.5 Daily quota"), Phase.DOT, Cause.QUOTA, True),
    "dot 554 8-bit": ("dot", raw(b"554 \xe9\r\n"), Phase.DOT, Cause.PROTOCOL_ERROR, False),
}


@pytest.mark.parametrize("case", REFUSALS)
@PIPELINING_OR_NOT
def test_a_refusal_carries_its_phase_and_the_server_has_no_copy(case, extensions):
    phase_name, behaviour, phase, cause, usable = REFUSALS[case]
    with SmtpServer(extensions=extensions, script={phase_name: [behaviour]}) as server:
        with session_with(server, command_timeout=0.3) as session:
            assert seen(session.send(USER, BOB, MAIL)) == ("refused", phase, cause)
            assert session.usable is usable
            if usable:
                assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        assert len(server.messages) == int(usable)


UNKNOWNS = {
    "drop": (drop(), Cause.LOST_AFTER_DOT),
    "hang": (hang(), Cause.TIMEOUT_AFTER_DOT),
    "drip": (drip(b"250" + b" " * 99, every=0.02), Cause.TIMEOUT_AFTER_DOT),
    "no code": (raw(b"thanks\r\n"), Cause.PROTOCOL_ERROR),
    "354 again": (reply("354 more"), Cause.PROTOCOL_ERROR),
    "lines": (endless(250), Cause.REPLY_TOO_LONG),
    "a long line": (long_line(), Cause.REPLY_TOO_LONG),
}


@pytest.mark.parametrize("case", UNKNOWNS)
def test_no_answer_after_the_dot_is_unknown(case):
    behaviour, cause = UNKNOWNS[case]
    script = {"dot": behaviour}
    with SmtpServer(script=script) as server, session_with(server, dot_timeout=0.3) as session:
        assert seen(session.send(USER, BOB, MAIL)) == ("unknown", Phase.DOT, cause)
        assert not session.usable


def test_the_wait_after_the_dot_has_its_own_limit():
    slow = then(wait(0.6), reply("250 2.0.0 slow but sure"))
    with (
        SmtpServer(script={"dot": slow}) as server,
        session_with(server, command_timeout=0.3, dot_timeout=5.0) as session,
    ):
        assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"


AFTERMATHS = {
    "drop": then(reply("250 2.0.0 queued"), drop()),
    "junk": raw(b"250 2.0.0 queued\r\njunk"),
    "a second reply": raw(b"250 2.0.0 queued\r\n550 not really\r\n"),
    "421": raw(b"250 2.0.0 queued\r\n421 closing\r\n"),
    "8-bit text": raw(b"250 2.0.0 queued \xe4\xb8\xad\r\n"),
    "NUL bytes": raw(b"250 2.0.0 queued \0\r\n"),
}


@pytest.mark.parametrize("case", AFTERMATHS)
def test_accepted_stays_accepted_whatever_follows(case):
    script = {"dot": AFTERMATHS[case]}
    with SmtpServer(script=script) as server, session_with(server) as session:
        outcome = session.send(USER, BOB, MAIL)
        assert isinstance(outcome, Accepted)
        assert outcome.reply.startswith("2.0.0 queued")
        assert wait_until_unusable(session)


def wait_until_unusable(session: Session) -> bool:
    """The server's close may be a moment behind its reply."""
    for _ in range(500):
        if not session.usable:
            return True
        sleep(0.01)
    return False


@pytest.mark.parametrize("behaviour", [drop(), reply("451 no"), hang(), raw(b"\0\xff\r\n")])
def test_a_failing_quit_is_not_a_failure(behaviour):
    with SmtpServer(script={"quit": behaviour}) as server:
        session = open_session(bundle_for(server, command_timeout=0.3), guard=FixedGuard())
        assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        session.close()
        session.close()
        assert len(server.messages) == 1


@pytest.mark.parametrize("encryption", [None, "tls"])
def test_a_drop_in_mid_body_is_refused_and_not_unknown(encryption):
    script = {"body": then(read_body(1000), drop())}
    with SmtpServer(tls=encryption, script=script, extensions=("PIPELINING",)) as server:
        with session_with(server) as session:
            outcome = session.send(USER, BOB, BIG)
            assert seen(outcome) == ("refused", Phase.BODY, Cause.CONNECTION_LOST)
            assert f"of {len(BIG) + 2} bytes sent" in outcome.failure.detail
        assert server.messages == []


def test_a_server_that_stops_reading_meets_the_deadline():
    changes = {"command_timeout": 0.3, "slowest_rate": 100_000_000}
    with (
        SmtpServer(script={"body": wait(30)}, extensions=()) as server,
        session_with(server, **changes) as session,
    ):
        outcome = session.send(USER, BOB, BIG)
    assert seen(outcome) == ("refused", Phase.BODY, Cause.TIMEOUT)


def test_what_is_raised_before_the_dot_drops_the_message():
    with SmtpServer() as server:
        with session_with(server) as session:
            with pytest.raises(LeaseLost):
                session.send(USER, BOB, MAIL, before_dot=refuse)
            assert not session.usable
        assert server.messages == []
        assert "DATA" in server.commands


def test_before_the_dot_is_asked_once_for_each_message():
    asked = []
    with SmtpServer() as server, session_with(server) as session:
        for number in range(3):
            session.send(USER, BOB, MAIL, before_dot=lambda number=number: asked.append(number))
    assert asked == [0, 1, 2]


def test_354_without_a_recipient_gets_a_lone_dot():
    script = {"rcpt": [reply("550 5.1.1 who")], "data": [reply("354 go ahead")]}
    with SmtpServer(script=script) as server:
        with session_with(server) as session:
            outcome = session.send(USER, BOB, MAIL)
            assert seen(outcome) == ("refused", Phase.RCPT, Cause.RECIPIENT_REFUSED)
            assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        assert [m.content for m in server.messages if m.recipients] == [MAIL]
        assert [m.content for m in server.messages if not m.recipients] == [b""]


@PIPELINING_OR_NOT
def test_a_probe_sends_nothing(extensions):
    watching = Watching()
    with SmtpServer(extensions=extensions) as server:
        session = open_session(bundle_for(server), guard=FixedGuard(), observer=watching)
        assert seen(session.probe(USER, BOB))[0] == "accepted"
        assert seen(session.send(USER, BOB, MAIL))[0] == "accepted"
        session.close()
        assert server.commands[1:4] == [f"MAIL FROM:<{USER}>", f"RCPT TO:<{BOB}>", "RSET"]
        assert len(server.messages) == 1
    probed = [Phase.MAIL, Phase.RCPT, Phase.RESET]
    assert [step.phase for step in watching.steps][4:7] == probed


@pytest.mark.parametrize(
    ("script", "phase", "cause"),
    [
        ({"mail": [reply("550 no")]}, Phase.MAIL, Cause.SENDER_REFUSED),
        ({"rcpt": [reply("550 5.1.1 no")]}, Phase.RCPT, Cause.RECIPIENT_REFUSED),
        ({"rcpt": [drop()]}, Phase.RCPT, Cause.CONNECTION_LOST),
    ],
)
@PIPELINING_OR_NOT
def test_a_probe_names_what_was_refused(script, phase, cause, extensions):
    watching = Watching()
    with SmtpServer(extensions=extensions, script=script) as server:
        session = open_session(bundle_for(server), guard=FixedGuard(), observer=watching)
        outcome = session.probe(USER, BOB)
        assert seen(outcome) == ("refused", phase, cause)
        session.close()
    failed = [step for step in watching.steps if not step.ok]
    assert [(step.phase, step.failure) for step in failed] == [(phase, outcome.failure)]


def test_a_session_that_the_server_closed_while_idle_hands_nothing_over():
    with SmtpServer(script={"dot": [then(reply("250 ok"), drop())]}) as server:
        session = open_session(bundle_for(server), guard=FixedGuard())
        session.send(USER, BOB, MAIL)
        assert wait_until_unusable(session)
        with pytest.raises(SessionFailed) as raised:
            session.send(USER, BOB, MAIL)
        assert raised.value.failure.cause == Cause.CONNECTION_LOST
        assert len(server.messages) == 1


@pytest.mark.parametrize(
    "script",
    [
        {"mail": [None, reply("421 4.4.2 idle too long")]},
        {"mail": [None, drop()]},
        {"rcpt": [reply("550 who")], "rset": [reply("502 what")]},
        {"rcpt": [reply("550 who")], "rset": [drop()]},
    ],
)
@PIPELINING_OR_NOT
def test_a_used_session_that_fails_before_it_answers_burns_nothing(script, extensions):
    with SmtpServer(script=script, extensions=extensions) as server:
        with session_with(server) as session:
            session.send(USER, BOB, MAIL)
            before = len(server.messages)
            with pytest.raises(SessionFailed):
                session.send(USER, BOB, MAIL)
            assert not session.usable
        assert len(server.messages) == before
