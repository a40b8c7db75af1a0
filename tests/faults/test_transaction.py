"""Faults from MAIL to the last byte of the content: deferred or failed, and never unknown."""

import itertools

import pytest

from portal.config import Config
from portal.delivery.models import State
from portal.identity.models import Organization
from portal.settings.scope import Scope
from tests.database_lock import Lock
from tests.delivering import aim, all_in, allow, enqueue, outcomes, record, take_turns
from tests.faults.routes import deferred, later, people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, drop, raw, read_body, reply, then
from tests.smtp_talk import Talk


@pytest.mark.fault(21)
def test_a_mail_over_the_announced_size_fails_without_being_offered(
    globex: Organization, ledger: Ledger
) -> None:
    with SmtpServer(extensions=("PIPELINING", "SIZE 1000")) as small:
        allow(small)
        aim(Scope.of(globex), "main", small)
        (one,) = ledger.note(enqueue(globex, *people(1)))
        take_turns()
        delivery = record(one)
        assert (delivery.state, delivery.reason) == (State.FAILED, "size_exceeded")
        assert outcomes(one) == ["failed"]
        assert "1000" in (delivery.attempts[0].reply or "")
        assert not any(line.startswith("MAIL") for line in small.commands)
        later()
        assert outcomes(one) == ["failed"]
        ledger.check(small)


@pytest.mark.fault(27)
@pytest.mark.parametrize("ending", ["a close", "a word and a close"])
def test_a_loss_within_the_content_is_deferred_and_never_unknown(
    globex: Organization, ledger: Ledger, server: SmtpServer, config: Config, ending: str
) -> None:
    """The server reads a part and is gone before the final dot was marked."""
    lock = Lock(config)

    def leave(talk: Talk) -> None:
        if ending == "a word and a close":
            talk.say("451 4.3.0 stop")
        talk.close()
        lock.release()

    server.set_script(
        data=[then(lock, reply("354 go on"))], body=[then(read_body(100), leave, drop())]
    )
    (one,) = ledger.note(enqueue(globex, *people(1)))
    take_turns()
    attempt = record(one).attempts[0]
    assert (attempt.phase, record(one).state) == ("body", State.DEFERRED)
    assert not record(one).dot_pending
    assert server.messages == []
    later()
    assert outcomes(one) == ["deferred", "accepted"]
    assert not record(one).may_be_duplicate
    ledger.check(server)


BROKEN_REPLIES = [
    (raw(b"hello\r\n"), None, None),
    (raw(b"2\r\n"), None, None),
    (raw(b"250 caf\xe9\r\n"), 250, "caf\\xe9"),
    (raw(b"250 a\x00b\x1b[1m\r\n"), 250, "a\\x00b\\x1b[1m"),
    (raw(b"250-one\r\n550 two\r\n"), None, None),
    (reply("999 nonsense"), None, None),
]


@pytest.mark.fault(32)
def test_a_reply_that_is_none_defers_and_its_bytes_are_kept_escaped(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    for phase, (behaviour, code, text) in itertools.product(("greeting", "rcpt"), BROKEN_REPLIES):
        server.set_script(**{phase: [behaviour]})
        (one,) = ledger.note(enqueue(globex, *people(1)))
        take_turns()
        attempt = deferred(one, phase, "protocol_error", code=code)
        assert text is None or attempt.reply == text
    later()
    assert all_in(State.ACCEPTED, list(ledger.promised))()
    ledger.check(server)


@pytest.mark.fault(34)
def test_a_session_that_cannot_be_used_again_is_replaced_and_burns_nothing(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    for rset in (reply("502 5.5.1 what"), drop(), reply("421 4.4.2 idle")):
        server.commands.clear()
        server.set_script(rcpt=[reply("550 5.1.0 who")], rset=[rset])
        ids = ledger.note(enqueue(globex, *people(4)))
        take_turns()
        states = sorted(record(one).state.value for one in ids)
        assert states == ["accepted"] * 3 + ["failed"]
        assert [len(outcomes(one)) for one in ids] == [1] * 4
        assert "RSET" in server.commands
    ledger.check(server)
