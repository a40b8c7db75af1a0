"""One delivery over SMTP: no transaction while the network talks, and what an attempt remembers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, current_app
from sqlalchemy import create_engine, text

from portal.config import Config
from portal.delivery import claims
from portal.delivery.loop import Loop
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings.scope import Scope
from tests.cast import Cast
from tests.delivering import Gate, aim, allow, deliver, enqueue, outcomes, record, take_turns
from tests.smtp_server import SmtpServer, drop, reply, then

ANN, BEN = Addressee("ann@x.test"), Addressee("ben@x.test")
LOGIN = {"authentication": "password", "username": "globex"}
PASSWORD = "seven blue lamps"


@contextmanager
def turns_in_a_thread(app: Flask) -> Iterator[None]:
    """The worker's turns beside the test, on the thread's own connection."""

    def work() -> None:
        with app.app_context():
            take_turns()
            db.session.remove()

    db.session.rollback()
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def nobody_is_in_a_transaction(config: Config) -> bool:
    engine = create_engine(config.database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if config.is_sqlite:
            connection.execute(text("PRAGMA busy_timeout = 0"))
            connection.execute(text("BEGIN IMMEDIATE"))  # raises where somebody writes
            connection.execute(text("ROLLBACK"))
            found = 0
        else:
            found = connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND state LIKE '%in transaction%'"
                )
            )
    engine.dispose()
    return not found


@pytest.mark.parametrize("phase", ["greeting", "ehlo", "mail", "rcpt", "data", "dot"])
def test_no_transaction_is_open_while_the_network_talks(
    app: Flask, globex: Organization, server: SmtpServer, config: Config, phase: str
) -> None:
    server.set_script(**{phase: [then(gate := Gate(), drop())]})
    (one,) = enqueue(globex, ANN)
    with turns_in_a_thread(app):
        gate.wait()
        assert nobody_is_in_a_transaction(config)
        assert record(one).state is State.SENDING
        assert record(one).dot_pending is (phase == "dot")
        db.session.rollback()
        gate.open()
    assert record(one).state is not State.SENDING


def test_an_attempt_remembers_server_address_phases_and_reply(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, ANN)
    take_turns("worker 7")
    delivery = record(one)
    (attempt,) = delivery.attempts
    assert (delivery.state, delivery.ip, delivery.server) == (
        State.ACCEPTED,
        "127.0.0.1",
        "127.0.0.1",
    )
    assert (delivery.code, delivery.reply) == (250, "2.0.0 ok: queued as 1")
    assert delivery.sender == attempt.sender == "main"
    assert attempt.worker == "worker 7"
    assert attempt.sender_version == "main/1"
    assert (attempt.ip, attempt.code, attempt.reply) == ("127.0.0.1", 250, "2.0.0 ok: queued as 1")
    phases = [step["phase"] for step in attempt.phases]
    assert phases == ["dns", "connect", "greeting", "ehlo", "mail", "rcpt", "data", "dot"]
    assert all(step["ok"] for step in attempt.phases)
    assert (attempt.ms or 0) >= 0


def test_mail_of_one_organization_shares_a_session_and_each_attempt_has_its_own_phases(
    globex: Organization, server: SmtpServer
) -> None:
    ids = enqueue(globex, ANN, BEN)
    take_turns()
    assert server.connections == 1
    first, second = sorted([s["phase"] for s in record(one).attempts[0].phases] for one in ids)
    assert first == ["dns", "connect", "greeting", "ehlo", "mail", "rcpt", "data", "dot"]
    assert second == ["session_reused", "mail", "rcpt", "data", "dot"]
    assert {record(one).ip for one in ids} == {"127.0.0.1"}


@pytest.mark.fault(31, 34)
@pytest.mark.parametrize("phase", ["mail", "dot"])
def test_a_session_that_died_between_two_mails_is_replaced_and_burns_nothing(
    globex: Organization, server: SmtpServer, phase: str
) -> None:
    script = {"mail": [None, drop()], "dot": [then(reply("250 taken"), drop())]}
    server.set_script(**{phase: script[phase]})
    ids = enqueue(globex, ANN, BEN)
    take_turns()

    assert server.connections == 2
    assert [outcomes(one) for one in ids] == [["accepted"], ["accepted"]]
    assert len(server.messages) == 2


@pytest.mark.fault(51)
def test_a_changed_sender_gets_a_session_of_its_own(
    globex: Organization, server: SmtpServer
) -> None:
    enqueue(globex, ANN)
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    (claimed,) = claims.claim("one", limit=1)
    deliver(claimed, loop)
    aim(Scope.of(globex), "main", server, from_address="new@globex.test")
    (second,) = enqueue(globex, BEN)
    (claimed,) = claims.claim("one", limit=1)
    deliver(claimed, loop)
    loop.close()

    assert [message.mail_from for message in server.messages] == [
        "alerts@globex.test",
        "new@globex.test",
    ]
    assert record(second).attempts[0].sender_version == "main/2"


def test_the_mail_says_whose_it_is(acme: Organization, cast: Cast, server: SmtpServer) -> None:
    enqueue(acme, Addressee(cast.alice.email, cast.alice.id), thread="alert-1")
    take_turns()
    message = server.messages[0].message
    assert message["From"].addresses[0].display_name == "Acme (via Platform)"
    assert message["To"] == cast.alice.email
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["References"] == "<alert-1@127.0.0.1>"
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_mail_goes_encrypted_and_logged_in_and_the_attempt_says_so(
    globex: Organization, encryption: str
) -> None:
    with SmtpServer(tls=encryption, auth={"globex": PASSWORD}, require_auth=True) as secure:  # type: ignore[arg-type]
        allow(secure)
        trust = {"encryption": encryption, "ca": secure.ca, "verify": True}
        aim(Scope.of(globex), "main", secure, secret=PASSWORD, **LOGIN, **trust)
        (one,) = enqueue(globex, ANN)
        take_turns()
    (received,) = secure.messages
    assert received.encrypted
    assert received.authenticated_as == "globex"
    assert (record(one).attempts[0].tls or "").startswith("TLSv1.")
    assert PASSWORD not in json.dumps(record(one).attempts[0].phases)


@pytest.mark.fault(2)
def test_an_organizations_sender_to_a_forbidden_address_connects_nowhere(
    globex: Organization, server: SmtpServer
) -> None:
    allow()
    (one,) = enqueue(globex, ANN)
    take_turns()
    assert server.connections == 0
    assert (record(one).state, record(one).reason) == (State.HELD, "sender_failing")
    assert record(one).attempts[0].cause == "forbidden_destination"
    assert record(one).ip is None


@pytest.mark.fault(47)
def test_a_letter_that_breaks_counts_its_attempt_fails_and_lets_the_others_go(
    globex: Organization, server: SmtpServer
) -> None:
    broken = enqueue(globex, ANN, BEN)
    (sound,) = enqueue(globex, BEN)
    record(broken[0]).payload.data = {"title": ["no", "text"]}
    db.session.commit()
    take_turns()

    for one in broken:
        assert (record(one).state, record(one).reason) == (State.FAILED, "render")
        assert outcomes(one) == ["failed"]
        assert record(one).attempts[0].phase == "render"
    assert record(sound).state is State.ACCEPTED
    assert len(server.messages) == 1


@pytest.mark.fault(47)
def test_an_address_that_no_header_can_hold_fails_alone(
    globex: Organization, server: SmtpServer
) -> None:
    poison, sound = enqueue(globex, ANN, BEN)
    record(poison).recipient = "ann@x.test\r\nBcc: all@x.test"
    db.session.commit()
    take_turns()

    assert (record(poison).state, record(poison).reason) == (State.FAILED, "render")
    assert record(sound).state is State.ACCEPTED
    assert [message.recipients for message in server.messages] == [("ben@x.test",)]
